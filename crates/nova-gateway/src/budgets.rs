//! What keys have spent of their budgets, and what they may still spend.
//!
//! Each key with a budget has an account in memory: what its requests cost since the span began, and what those
//! under way may cost at most. A request is let in while something is left after both, so that requests at the same
//! time exceed a budget by no more than what the last one of them costs. The ledger is the truth: accounts begin
//! with its sums, and are set right by them again and again, because other instances write there, too.
//!
//! Invariants: finding an account takes no lock, and keys without a budget have none; a hold is given back exactly
//! once; what this process charged is never forgotten by a sum that does not hold it yet.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use nova_catalog::{Date, NanoUsd};
use nova_ledger::{Key, KeyBudget, KeyId, LedgerError, Period};

use crate::error::{Code, GatewayError};
use crate::state::Shared;

/// Sums are taken this often, and never for more than a hundredth of the time.
const EVERY: Duration = Duration::from_secs(10);
const SHARE: u32 = 100;
/// What a request that was turned away because of others should wait.
const SOON: Duration = Duration::from_secs(1);

/// The accounts of all keys with a budget.
#[derive(Debug, Default)]
pub struct Budgets {
    accounts: ArcSwap<HashMap<KeyId, Arc<Account>>>,
    /// When sums are taken next.
    due: Mutex<Option<Instant>>,
}

/// What one key has spent.
#[derive(Debug, Default)]
struct Account {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// When the span began that is counted, in Unix milliseconds.
    since_ms: i64,
    spent: NanoUsd,
    /// What requests under way may cost.
    held: NanoUsd,
    /// What was charged here since the records of all before were written.
    fresh: NanoUsd,
}

/// Why nothing more can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Spent,
    Held,
}

/// What a request may cost, kept free for it until it ends.
#[derive(Debug)]
#[must_use = "what is dropped at once holds nothing"]
pub(crate) struct Hold {
    account: Arc<Account>,
    budget: KeyBudget,
    amount: NanoUsd,
}

impl Budgets {
    /// What is left to a key, in US dollars, after what its requests under way may cost; `None` where it has no budget.
    pub(crate) fn left(&self, key: &Key, now_ms: i64) -> Option<f64> {
        let budget = key.routing.budget?;
        let spent = self.account(key.id).map(|account| account.at(budget.per, now_ms).taken());
        let left = budget.usd.saturating_sub(spent.unwrap_or(NanoUsd::ZERO));
        // Exact up to some millions of dollars.
        Some(left.nanos().max(0) as f64 / 1e9)
    }

    /// Holds what a request may cost at this time; `None` where the key has no budget, and then neither is asked.
    ///
    /// # Errors
    /// 402 where nothing is left, and 429 where requests under way may need what is.
    pub(crate) fn hold(
        &self,
        key: &Key,
        asked: impl FnOnce() -> (NanoUsd, i64),
    ) -> Result<Option<Hold>, GatewayError> {
        let Some(budget) = key.routing.budget else { return Ok(None) };
        let (amount, now_ms) = asked();
        let account = self.account(key.id).unwrap_or_else(|| self.open(key.id));
        account.hold(budget, amount, now_ms).map(Some).map_err(|refused| match refused {
            Refused::Spent => spent(key, budget, now_ms),
            Refused::Held => held(key),
        })
    }

    fn account(&self, key: KeyId) -> Option<Arc<Account>> {
        self.accounts.load().get(&key).map(Arc::clone)
    }

    /// The account of a key that was made since sums were taken last.
    fn open(&self, key: KeyId) -> Arc<Account> {
        let fresh = Arc::new(Account::default());
        self.accounts.rcu(|accounts| {
            let mut accounts = HashMap::clone(accounts);
            accounts.entry(key).or_insert_with(|| Arc::clone(&fresh));
            accounts
        });
        self.account(key).unwrap_or(fresh)
    }

    /// Has an account for each of these keys, and for no other.
    fn keep(&self, keys: &HashSet<KeyId>) {
        let known = self.accounts.load();
        if known.len() == keys.len() && keys.iter().all(|key| known.contains_key(key)) {
            return;
        }
        self.accounts.rcu(|accounts| {
            let account = |key: &KeyId| (*key, accounts.get(key).map_or_else(Arc::default, Arc::clone));
            keys.iter().map(account).collect::<HashMap<_, _>>()
        });
    }

    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn hold(self: &Arc<Self>, budget: KeyBudget, amount: NanoUsd, now_ms: i64) -> Result<Hold, Refused> {
        let mut state = self.at(budget.per, now_ms);
        if state.spent >= budget.usd {
            return Err(Refused::Spent);
        }
        if state.taken() >= budget.usd {
            return Err(Refused::Held);
        }
        state.held = state.held.saturating_add(amount);
        drop(state);
        Ok(Hold { account: Arc::clone(self), budget, amount })
    }

    /// Its state in the span that a moment lies in.
    fn at(&self, per: Period, now_ms: i64) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since_ms = per.start_ms(now_ms);
        if since_ms != state.since_ms {
            *state = State { since_ms, held: state.held, ..State::default() };
        }
        state
    }
}

impl State {
    fn taken(&self) -> NanoUsd {
        self.spent.saturating_add(self.held)
    }
}

impl Hold {
    /// Charges what the request really cost, which arrived at this time.
    pub(crate) fn charge(self, cost: NanoUsd, arrived_ms: i64) {
        let mut state = self.account.state.lock().unwrap_or_else(PoisonError::into_inner);
        // What arrived in an earlier span counts there.
        if self.budget.per.start_ms(arrived_ms) >= state.since_ms {
            state.spent = state.spent.saturating_add(cost);
            state.fresh = state.fresh.saturating_add(cost);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.account.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held = state.held.saturating_sub(self.amount);
    }
}

fn spent(key: &Key, budget: KeyBudget, now_ms: i64) -> GatewayError {
    let (name, usd) = (&key.name, budget.usd);
    let Some(next_ms) = budget.per.next_ms(now_ms) else {
        let message = format!(
            "key `{name}` has spent its budget of `{usd}`\nhint: whoever gave you the key can give it more"
        );
        return GatewayError::new(Code::KeyBudgetSpent, message);
    };
    let (per, next) = (budget.per.word(), Date::from_ms(next_ms));
    let message = format!(
        "key `{name}` has spent its budget of `{usd}` for this {per}\nhint: the next {per} begins on {next} at 00:00 UTC"
    );
    let wait = Duration::from_millis(u64::try_from(next_ms - now_ms).unwrap_or_default());
    GatewayError::new(Code::KeyBudgetSpent, message).after(wait)
}

fn held(key: &Key) -> GatewayError {
    let message = format!(
        "the requests of key `{}` that are under way may need all that is left of its budget\nhint: try again once they have ended, or say how long answers may be (`max_tokens`)",
        key.name
    );
    GatewayError::new(Code::KeyBudgetHeld, message).after(SOON)
}

/// Sets the accounts right by what the ledger says, where that is due.
///
/// # Errors
/// Where the store cannot be read; the accounts then go on as they are.
pub(crate) async fn follow(shared: &Shared) -> Result<(), LedgerError> {
    let budgets = &shared.budgets;
    if budgets.due().is_some_and(|due| Instant::now() < due) {
        return Ok(());
    }
    let begun = Instant::now();
    let counted = recount(shared).await;
    *budgets.due() = Some(Instant::now() + EVERY.max(begun.elapsed() * SHARE));
    counted
}

/// Sets the accounts right by what the ledger says, now.
///
/// # Errors
/// Where the store cannot be read; the accounts then go on as they are.
pub async fn recount(shared: &Shared) -> Result<(), LedgerError> {
    let table = shared.ledger.key_table();
    let with_budget = table.keys().filter(|key| key.revoked_ms.is_none());
    let periods: HashMap<KeyId, Period> =
        with_budget.filter_map(|key| Some((key.id, key.routing.budget?.per))).collect();
    let budgets = &shared.budgets;
    budgets.keep(&periods.keys().copied().collect());
    if periods.is_empty() {
        return Ok(());
    }
    let (now_ms, accounts) = (shared.now_ms(), budgets.accounts.load_full());
    for (key, per) in &periods {
        if let Some(account) = accounts.get(key) {
            account.at(*per, now_ms).fresh = NanoUsd::ZERO;
        }
    }
    // All that was charged before is in the database then, or the sum would forget it.
    if !shared.usage.flush().await.in_database {
        return Ok(());
    }
    for (per, _) in Period::ALL {
        let of_period = || periods.iter().filter(|(_, period)| **period == per).map(|(key, _)| key);
        if of_period().next().is_none() {
            continue;
        }
        let since_ms = per.start_ms(now_ms);
        let sums: HashMap<KeyId, NanoUsd> = shared.ledger.spent_since(since_ms).await?.into_iter().collect();
        for (key, account) in of_period().filter_map(|key| Some((key, accounts.get(key)?))) {
            let mut state = account.at(per, shared.now_ms());
            if state.since_ms == since_ms {
                // What was charged meanwhile may be in the sum already: then it counts twice, until the next one.
                let sum = sums.get(key).copied().unwrap_or(NanoUsd::ZERO);
                state.spent = sum.saturating_add(state.fresh);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60_000;

    const fn cents(count: i64) -> NanoUsd {
        NanoUsd::from_nanos(count * 10_000_000)
    }

    const A_DOLLAR_A_DAY: KeyBudget = KeyBudget { usd: cents(100), per: Period::Day };

    fn hold(account: &Arc<Account>, amount: i64, now_ms: i64) -> Result<Hold, Refused> {
        account.hold(A_DOLLAR_A_DAY, cents(amount), now_ms)
    }

    #[test]
    fn requests_at_the_same_time_are_let_in_while_something_is_left_after_all_of_them() {
        let account = Arc::new(Account::default());
        let first = hold(&account, 60, 0).unwrap();
        // The last one may exceed the budget, and no other is let in beside it.
        let second = hold(&account, 60, 0).unwrap();
        assert_eq!(hold(&account, 0, 0).unwrap_err(), Refused::Held);
        first.charge(cents(99), 0);
        drop(second);
        let third = hold(&account, 500, 0).unwrap();
        third.charge(cents(3), 0);
        assert_eq!(hold(&account, 0, 0).unwrap_err(), Refused::Spent);
        assert_eq!(account.at(Period::Day, 0).taken(), cents(102));
    }

    #[test]
    fn each_span_begins_with_nothing_spent_and_what_is_under_way_stays_held() {
        let account = Arc::new(Account::default());
        let late = hold(&account, 40, DAY_MS - 1).unwrap();
        hold(&account, 1, DAY_MS - 1).unwrap().charge(cents(100), DAY_MS - 1);
        assert_eq!(hold(&account, 1, DAY_MS - 1).unwrap_err(), Refused::Spent);
        let early = hold(&account, 10, DAY_MS).unwrap();
        assert_eq!(account.at(Period::Day, DAY_MS).taken(), cents(50));
        late.charge(cents(70), DAY_MS - 1);
        early.charge(cents(10), DAY_MS);
        let spent = account.at(Period::Day, DAY_MS).taken();
        assert_eq!(spent, cents(10), "what arrived on the day before counts there");
    }

    #[test]
    fn an_account_is_found_by_its_key_and_goes_with_it() {
        let budgets = Budgets::default();
        let ids: Vec<KeyId> = (1..4_u128)
            .map(|number| format!("{:08x}-0000-7000-8000-000000000000", number).parse().unwrap())
            .collect();
        let first = budgets.open(ids[0]);
        assert!(Arc::ptr_eq(&first, &budgets.open(ids[0])));
        budgets.keep(&ids[..2].iter().copied().collect());
        assert!(Arc::ptr_eq(&first, &budgets.account(ids[0]).unwrap()));
        assert!(budgets.account(ids[1]).is_some() && budgets.account(ids[2]).is_none());
        budgets.keep(&ids[1..].iter().copied().collect());
        assert!(budgets.account(ids[0]).is_none());
    }
}

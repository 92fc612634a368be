//! What a shadow has spent today, and what it may still spend.
//!
//! Invariant: what was charged and what is held together never exceed the budget when more is held; so requests at
//! the same time exceed it by no more than what their answers cost beyond what was expected.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nova_catalog::NanoUsd;

const DAY_MS: i64 = 24 * 60 * 60_000;

/// What was spent.
#[derive(Debug, Default)]
pub(super) struct Spent {
    today: Mutex<Today>,
}

#[derive(Debug, Default)]
struct Today {
    /// Days since 1970 (UTC).
    day: i64,
    charged: NanoUsd,
    held: NanoUsd,
}

/// An amount that is held until it is charged, or given back when it is dropped.
#[derive(Debug)]
#[must_use = "what is dropped at once holds nothing"]
pub(super) struct Hold {
    spent: Arc<Spent>,
    amount: NanoUsd,
}

impl Spent {
    /// Holds what a request should cost, where the day's budget has room for it.
    pub(super) fn hold(self: &Arc<Self>, amount: NanoUsd, budget: NanoUsd, now_ms: i64) -> Option<Hold> {
        let mut today = self.today(now_ms);
        let taken = today.charged.saturating_add(today.held);
        // A free request still needs some of the budget to be left.
        if taken >= budget || taken.saturating_add(amount) > budget {
            return None;
        }
        today.held = today.held.saturating_add(amount);
        drop(today);
        Some(Hold { spent: Arc::clone(self), amount })
    }

    fn today(&self, now_ms: i64) -> MutexGuard<'_, Today> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now_ms.div_euclid(DAY_MS);
        if day != today.day {
            today.day = day;
            today.charged = NanoUsd::ZERO;
        }
        today
    }
}

impl Hold {
    /// Charges what it really cost.
    pub(super) fn charge(self, cost: NanoUsd, now_ms: i64) {
        let mut today = self.spent.today(now_ms);
        today.charged = today.charged.saturating_add(cost);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut today = self.spent.today.lock().unwrap_or_else(PoisonError::into_inner);
        today.held = today.held.saturating_sub(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn usd(nanos: i64) -> NanoUsd {
        NanoUsd::from_nanos(nanos)
    }

    #[test]
    fn what_is_held_and_charged_stays_within_the_budget_of_the_day() {
        let spent = Arc::new(Spent::default());
        let hold = |amount: i64, now_ms: i64| spent.hold(usd(amount), usd(100), now_ms);
        let first = hold(60, 0).unwrap();
        assert!(hold(41, 0).is_none(), "60 are held");
        let second = hold(40, 0).unwrap();
        assert!(hold(0, 0).is_none(), "nothing is left");
        first.charge(usd(30), 1);
        assert!(hold(31, 1).is_none(), "30 are charged, 40 held");
        drop(second);
        drop(hold(70, 1).unwrap());
        assert!(hold(71, DAY_MS - 1).is_none());
        drop(hold(100, DAY_MS).unwrap());
        let late = hold(50, 2 * DAY_MS - 1).unwrap();
        late.charge(usd(80), 2 * DAY_MS);
        assert!(hold(21, 2 * DAY_MS).is_none(), "it is charged to the day on which it was answered");
        assert!(spent.hold(usd(1), usd(0), 3 * DAY_MS).is_none(), "no budget, no shadow");
    }
}

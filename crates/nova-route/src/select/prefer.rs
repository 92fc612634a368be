//! What a request asks of routing, applied to a plan in the making.

use super::{Draft, Planning};
use crate::controls::{Controls, Cutoffs, Pace, Preferences, Rank};
use crate::plan::{Attempt, DeploymentId, Preference, Why};
use crate::table::{Model, Target};
use crate::world::Signals;

impl Planning<'_, '_> {
    /// Whether models that only the configuration names may follow the one that is asked for.
    pub(super) fn takes_configured_fallbacks(&self) -> bool {
        self.facts.controls.is_none_or(Controls::takes_configured_fallbacks)
    }

    /// Adds the models that the request itself names to fall back to, each with the provider that its name demands.
    pub(super) fn fall_back(&self, draft: &mut Draft) {
        let Some(names) = self.facts.controls.and_then(|controls| controls.fallbacks.as_ref()) else {
            return;
        };
        for name in names {
            if let Target::Model(model, provider) = self.table.target(name) {
                self.extend(draft, (model, Why::Fallback), (Some(name.as_str()), provider));
            }
        }
        // What one name left out, another one may want.
        let Draft { attempts, removed, .. } = draft;
        removed.retain(|(id, _)| attempts.iter().all(|attempt| attempt.deployment != *id));
    }

    /// Removes the deployments that the key's prompts may not go to.
    pub(super) fn keep_to_policy(&self, found: &mut Vec<Attempt>, draft: &mut Draft) {
        let Some(policy) = self.facts.data.filter(|policy| !policy.is_open()) else { return };
        found.retain(|attempt| {
            let admitted = self.table.offered(attempt.deployment).is_some_and(|it| policy.admits(it.tags));
            if !admitted {
                draft.removed.push((attempt.deployment, Why::DataPolicy));
            }
            admitted
        });
    }

    /// Removes what the request does not want of a model's deployments, and orders the others as it wants them.
    pub(super) fn prefer(&self, model: &Model, found: &mut Vec<Attempt>, draft: &mut Draft) {
        let Some(Controls { provider: preferences, .. }) = self.facts.controls else { return };
        found.retain(|attempt| {
            let Some(offered) = self.table.offered(attempt.deployment) else { return true };
            let demands = preferences.require_parameters == Some(true);
            let loses = || demands && self.world.signals(attempt.deployment).loses;
            let is_late = |most: &Cutoffs| most.is_exceeded(&pace(&self.world.signals(attempt.deployment)));
            let late = || preferences.max_latency.as_ref().filter(|most| is_late(most));
            let why = preferences
                .refuses(&offered, self.facts.prompt_tokens)
                .or_else(|| loses().then_some(Why::Preference { preference: Preference::Parameters }))
                .or_else(|| late().map(|_| Why::Preference { preference: Preference::Latency }));
            draft.removed.extend(why.map(|why| (attempt.deployment, why)));
            why.is_none()
        });
        if preferences.is_ordered() {
            arrange(found, |attempt| self.rank(preferences, Some(model), attempt));
        }
        // Where `order` names providers, those alone are left already.
        let alone = preferences.allow_fallbacks == Some(false) && !preferences.lists_an_order();
        let provider = |id: DeploymentId| self.table.offered(id).map(|it| it.provider);
        let Some(first) = found.first().filter(|_| alone).map(|first| provider(first.deployment)) else {
            return;
        };
        found.retain(|attempt| {
            let is_first = provider(attempt.deployment) == first;
            if !is_first {
                let why = Why::Preference { preference: Preference::First };
                draft.removed.push((attempt.deployment, why));
            }
            is_first
        });
    }

    /// Orders the deployments of all models together, where the request wants that.
    pub(super) fn sort_together(&self, attempts: &mut [Attempt]) {
        let Some(Controls { provider: preferences, .. }) = self.facts.controls else { return };
        if preferences.sort.is_some_and(|sort| !sort.within_model) {
            arrange(attempts, |attempt| self.rank(preferences, self.table.named(&attempt.model), attempt));
        }
    }

    fn rank(&self, preferences: &Preferences, model: Option<&Model>, attempt: &Attempt) -> Rank {
        let Some(offered) = self.table.offered(attempt.deployment) else { return Rank::LAST };
        let signals = self.world.signals(attempt.deployment);
        let cost = model.and_then(|model| self.cost(model, attempt.deployment, &signals));
        preferences.rank(&offered, &Pace { cost: cost.map(|cost| cost.usd()), ..pace(&signals) })
    }
}

/// How fast a deployment is known to be.
fn pace(signals: &Signals) -> Pace {
    Pace {
        cost: None,
        ttft_ms: signals.ttft_ms.map(f64::from),
        p95_ttft_ms: signals.p95_ttft_ms.map(f64::from),
        tokens_per_s: signals.tokens_per_s.map(f64::from),
    }
}

/// Sorts attempts by their ranks; equal ones stay as they are.
fn arrange(attempts: &mut [Attempt], rank: impl Fn(&Attempt) -> Rank) {
    let mut ranked: Vec<(Rank, Attempt)> =
        attempts.iter().map(|attempt| (rank(attempt), attempt.clone())).collect();
    ranked.sort_by(|one, other| one.0.order(&other.0));
    for (to, (_, attempt)) in attempts.iter_mut().zip(ranked) {
        *to = attempt;
    }
}

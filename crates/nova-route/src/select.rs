//! The decision.

use std::sync::Arc;

use crate::facts::{Facts, Health};
use crate::plan::{Attempt, DeploymentId, Missing, NoRoute, Plan, Why};
use crate::table::{Model, Place, Table};

/// A prompt counts as too long for a context when its estimate is longer by a quarter: estimates are
/// off by less than that, and a client who is close to the limit wants the model that he asked for.
const CLEARLY: u64 = 4;
/// Names suggested for an unknown one.
const SUGGESTIONS: usize = 3;

/// Which deployments to try for a request, in order.
///
/// The order: deployments of the model asked for, by priority, equal ones shuffled by weight from
/// `seed`; those of the model's fallbacks; those of the default fallback. Deployments whose model the
/// prompt clearly overflows move behind those, and deployments that rest move behind all. What the key
/// may not use and what cannot take the request is removed, and so is what exceeds the table's bound.
///
/// # Errors
/// [`NoRoute`] says why nothing is left to try.
pub fn plan(
    table: &Table,
    facts: &Facts<'_>,
    health: &dyn Fn(DeploymentId) -> Health,
    seed: u64,
) -> Result<Plan, NoRoute> {
    if let Some(router) = table.router.as_ref().filter(|router| router.owns(facts.model)) {
        let chain = router.choose(&table.models, facts);
        let Some((model, by)) = chain.first() else { return Err(NoRoute::NoRule) };
        let Some(model) = table.models.get(*model as usize) else { return Err(NoRoute::NoDeployment) };
        return along(table, facts, chain, (None, seed)).finish(table, (&model.name, *by), health);
    }
    let Some((asked, provider)) = table.resolve(facts.model) else {
        let allowed = |model: usize| u32::try_from(model).is_ok_and(|model| is_allowed(table, facts, model));
        return Err(NoRoute::Unknown { nearest: table.nearest(facts.model, SUGGESTIONS, allowed) });
    };
    if !is_allowed(table, facts, asked) {
        return Err(NoRoute::NotAllowed);
    }
    let Some(model) = table.models.get(asked as usize) else { return Err(NoRoute::NoDeployment) };
    along(table, facts, &model.chain, (provider, seed)).finish(table, (&model.name, Why::Asked), health)
}

/// The deployments of a chain of models.
fn along(
    table: &Table,
    facts: &Facts<'_>,
    chain: &[(u32, Why)],
    (provider, seed): (Option<u32>, u64),
) -> Draft {
    let mut draft = Draft { attempts: Vec::with_capacity(4), removed: Vec::new(), seed };
    for &(index, why) in chain {
        // Who names a provider wants that provider, not another model elsewhere.
        if provider.is_some() && why != Why::Asked {
            break;
        }
        let Some(model) = table.models.get(index as usize) else { continue };
        match refusal(table, facts, (index, model), why) {
            Some(why) => draft.refuse(model, why),
            None => draft.add(model, (why, provider), facts),
        }
    }
    draft
}

fn is_allowed(table: &Table, facts: &Facts<'_>, model: u32) -> bool {
    facts.allowed_models.is_none_or(|allowed| {
        allowed.iter().any(|name| table.resolve(name).is_some_and(|(allowed, _)| allowed == model))
    })
}

/// Why none of a model's deployments can be used.
fn refusal(table: &Table, facts: &Facts<'_>, (index, model): (u32, &Model), why: Why) -> Option<Why> {
    if why != Why::Asked && !is_allowed(table, facts, index) {
        return Some(Why::NotAllowed);
    }
    let missing = match facts {
        facts if facts.has_images && !model.images => Missing::Images,
        facts if facts.has_tools && !model.tools => Missing::Tools,
        _ => return None,
    };
    Some(Why::Incapable { missing })
}

/// A plan in the making.
struct Draft {
    attempts: Vec<Attempt>,
    removed: Vec<(DeploymentId, Why)>,
    seed: u64,
}

impl Draft {
    fn refuse(&mut self, model: &Model, why: Why) {
        self.removed.extend(model.groups.iter().flatten().map(|place| (place.deployment, why)));
    }

    fn add(&mut self, model: &Model, (why, provider): (Why, Option<u32>), facts: &Facts<'_>) {
        let demoted = model
            .context
            .filter(|&context| facts.prompt_tokens > context.saturating_add(context / CLEARLY))
            .map(|context| Why::TooLong { context });
        for group in &model.groups {
            let chosen: &[Place] = match group.as_slice() {
                one @ [_] | one @ [] => one,
                several => &self.shuffled(several),
            };
            for place in chosen {
                if provider.is_some_and(|asked| asked != place.provider) {
                    self.removed.push((place.deployment, Why::OtherProvider));
                } else if self.attempts.iter().all(|attempt| attempt.deployment != place.deployment) {
                    let model = Arc::clone(&model.name);
                    self.attempts.push(Attempt { deployment: place.deployment, model, why, demoted });
                }
            }
        }
    }

    /// Places in an order drawn by weight: each next one is chosen among those left with a chance in
    /// proportion to its weight; those of weight 0 come last, as they are listed.
    fn shuffled(&mut self, places: &[Place]) -> Vec<Place> {
        let mut places = places.to_vec();
        let mut left: u64 = places.iter().map(|place| u64::from(place.weight)).sum();
        for first in 0..places.len() {
            if left == 0 {
                break;
            }
            let mut drawn = self.draw(left);
            let mut chosen = first;
            for (index, place) in places.iter().enumerate().skip(first) {
                let weight = u64::from(place.weight);
                if drawn < weight {
                    chosen = index;
                    break;
                }
                drawn -= weight;
            }
            left -= u64::from(places[chosen].weight);
            places[first..=chosen].rotate_right(1);
        }
        places
    }

    /// The next number below `bound` of this plan's sequence (SplitMix64; the bias of the
    /// multiplication is below 2⁻³² for any sum of weights below 2³²).
    fn draw(&mut self, bound: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((u128::from(z) * u128::from(bound)) >> 64) as u64
    }

    fn finish(
        mut self,
        table: &Table,
        (asked, by): (&Arc<str>, Why),
        health: &dyn Fn(DeploymentId) -> Health,
    ) -> Result<Plan, NoRoute> {
        if self.attempts.is_empty() {
            let missing = self.removed.iter().find_map(|(_, why)| match why {
                Why::Incapable { missing } => Some(*missing),
                _ => None,
            });
            let refused = || match self.removed.first() {
                Some((_, Why::NotAllowed)) => NoRoute::NotAllowed,
                _ => NoRoute::NoDeployment,
            };
            return Err(missing.map_or_else(refused, |missing| NoRoute::Incapable { missing }));
        }
        for attempt in &mut self.attempts {
            if health(attempt.deployment) == Health::Open {
                attempt.demoted = Some(Why::Resting);
            }
        }
        if self.attempts.iter().any(|attempt| attempt.demoted.is_some()) {
            // Stable: among equals the order above stays.
            self.attempts.sort_by_key(|attempt| match attempt.demoted {
                None => 0,
                Some(Why::Resting) => 2,
                Some(_) => 1,
            });
        }
        let bound = table.max_attempts;
        if self.attempts.len() > bound as usize {
            let cut = self.attempts.drain(bound as usize..);
            self.removed.extend(cut.map(|attempt| (attempt.deployment, Why::BeyondBound { bound })));
        }
        Ok(Plan { asked: Arc::clone(asked), by, attempts: self.attempts, removed: self.removed })
    }
}

#[cfg(test)]
mod tests;

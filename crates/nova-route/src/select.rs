//! The decision.

use std::sync::Arc;

use crate::choose::balance::{self, Draws};
use crate::choose::{Aim, Choice, Mode, Offer, Scored, cost, explored, filter, rank};
use crate::facts::Facts;
use crate::names::fold;
use crate::pattern::{is_pattern, part};
use crate::plan::{Attempt, DeploymentId, Exposure, NoRoute, Plan, Why};
use crate::router::{Chosen, Router};
use crate::table::{Model, Place, Table, Target};
use crate::world::{Health, Signals, World};

mod prefer;

/// Names suggested for an unknown one.
const SUGGESTIONS: usize = 3;

/// Which deployments to try for a request, in order.
///
/// Who names a model gets its deployments, those of its fallbacks, and those of the default fallback. Who
/// leaves the choice to us gets what the first rule that holds says; where none holds, all models that can
/// serve the request, ranked by a [`Mode`]. An experiment on the chosen model may put another one first.
///
/// Within a model the operator's priorities come first, then what [`crate::choose`] says. Deployments whose
/// model the prompt clearly overflows move behind those, those whose provider asked for a pause behind
/// these, and those that rest behind all. What the key may not use and what cannot take the request is
/// removed, and so is what exceeds the table's bound. A request that names models to fall back to gets these
/// instead of the configured ones, and its preferences ([`crate::Preferences`]) remove and order deployments.
///
/// # Errors
/// [`NoRoute`] says why nothing is left to try.
pub fn plan(table: &Table, facts: &Facts<'_>, world: &dyn World, seed: u64) -> Result<Plan, NoRoute> {
    let of = &Planning { table, facts, world, seed };
    match table.target(facts.model) {
        Target::Rules(router) => of.by_rules(Some(router)),
        Target::Auto { mode: None, task: Some(task) } => {
            let facts = &Facts { task: Some(task), task_confidence: Some(1.0), ..*facts };
            Planning { table, facts, world, seed }.by_rules(table.router.as_ref())
        }
        Target::Auto { mode, task } => {
            let aim = mode.map_or_else(|| table.choosing.aim(), |mode| table.choosing.aim_of(mode));
            let facts = &Facts { task: task.or(facts.task), ..*facts };
            Planning { table, facts, world, seed }.by_mode(&aim, &[])
        }
        Target::Model(asked, provider) => {
            if !is_allowed(table, facts, (asked, Some(facts.model))) {
                return Err(NoRoute::NotAllowed);
            }
            let Some(model) = table.models.get(asked as usize) else { return Err(NoRoute::NoDeployment) };
            of.along(&model.chain, provider)
        }
        Target::Unknown => {
            let allowed = |model: usize| {
                u32::try_from(model).is_ok_and(|model| is_allowed(table, facts, (model, None)))
            };
            Err(NoRoute::Unknown { nearest: table.nearest(facts.model, SUGGESTIONS, allowed) })
        }
    }
}

/// Whether the caller's key may use a model, which `name` means where its own name stands for many. What the key may
/// use can be written as a pattern, too.
fn is_allowed(table: &Table, facts: &Facts<'_>, (index, name): (u32, Option<&str>)) -> bool {
    let Some(allowed) = facts.allowed_models else { return true };
    let Some(model) = table.models.get(index as usize) else { return false };
    let called = model.called(name);
    allowed.iter().any(|entry| match is_pattern(entry) {
        true => part(entry, &called).is_some(),
        false if model.is_pattern() => fold(entry) == fold(&called),
        false => table.find(entry).is_some_and(|found| found == index as usize),
    })
}

/// One decision's arguments.
struct Planning<'p, 'f> {
    table: &'p Table,
    facts: &'p Facts<'f>,
    world: &'p dyn World,
    seed: u64,
}

impl Planning<'_, '_> {
    /// What the first rule that holds says; where none does, or there are none, the configured mode.
    fn by_rules(&self, router: Option<&Router>) -> Result<Plan, NoRoute> {
        let choosing = &self.table.choosing;
        match router.map(|router| router.choose(&self.table.models, self.facts, self.world)) {
            Some(Chosen::Chain(chain @ [_, ..])) => self.along(chain, None),
            Some(Chosen::Mode(mode, rest)) => self.by_mode(&choosing.aim_of(mode), rest),
            Some(Chosen::Chain([])) | None => self.by_mode(&choosing.aim(), &[]),
        }
    }

    /// The deployments of a chain of models; its first one may be part of an experiment.
    fn along(&self, chain: &[(u32, Why)], provider: Option<u32>) -> Result<Plan, NoRoute> {
        let Some(&(first, by)) = chain.first() else { return Err(NoRoute::NoDeployment) };
        let mut draft = Draft::new(self.seed);
        let arm = if provider.is_none() { self.arm(first) } else { None };
        let (mut asked, mut decided) = (first, by);
        if let Some((model, exposure)) = arm {
            self.extend(&mut draft, (model, Why::Arm), (None, None));
            if !draft.attempts.is_empty() {
                (asked, decided) = (model, Why::Arm);
                draft.exposure = Some(exposure);
            }
        }
        // Who names a provider wants that provider, not another model elsewhere.
        let alone = provider.is_some() || !self.takes_configured_fallbacks();
        for &(model, why) in chain.iter().take(if alone { 1 } else { chain.len() }) {
            if draft.exposure.is_none() || model != asked {
                let name = (why == Why::Asked).then_some(self.facts.model);
                self.extend(&mut draft, (model, why), (name, provider));
            }
        }
        self.fall_back(&mut draft);
        let asked = self.table.models.get(asked as usize).ok_or(NoRoute::NoDeployment)?;
        self.sort_together(&mut draft.attempts);
        let name = (decided == Why::Asked).then_some(self.facts.model);
        draft.finish(self.table, (&asked.called(name), decided))
    }

    /// The arm of the experiment on a model that this request is part of, where that arm can serve it.
    fn arm(&self, model: u32) -> Option<(u32, Exposure)> {
        let experiment = self.table.experiments.iter().find(|experiment| experiment.model == model)?;
        let arm = experiment.arm(self.facts, self.seed)?;
        let (experiment, name) = (Arc::clone(&experiment.name), Arc::clone(&arm.name));
        let can = self.refusal((arm.model, None), Why::Arm).is_none()
            && self.table.models.get(arm.model as usize).is_some_and(|model| !model.groups.is_empty());
        can.then_some((arm.model, Exposure { experiment, arm: name }))
    }

    /// Adds a model, by the name that means it and with the provider that the name demands.
    fn extend(
        &self,
        draft: &mut Draft,
        (index, why): (u32, Why),
        (name, provider): (Option<&str>, Option<u32>),
    ) {
        let Some(model) = self.table.models.get(index as usize) else { return };
        if let Some(why) = self.refusal((index, name), why) {
            return draft.refuse(model, why);
        }
        let mut found = self.deployments(model, (why, provider), false, draft);
        if model.is_pattern() {
            let called = model.called(name);
            found.iter_mut().for_each(|attempt| attempt.model = Arc::clone(&called));
            // One deployment serves many names, and a plan may hold several of them.
            let is_new = |attempt: &Attempt| {
                let same =
                    |other: &Attempt| other.deployment == attempt.deployment && other.model == attempt.model;
                !draft.attempts.iter().any(same)
            };
            found.retain(is_new);
        }
        draft.attempts.extend(found);
    }

    /// Why none of a model's deployments can be used.
    fn refusal(&self, (index, name): (u32, Option<&str>), why: Why) -> Option<Why> {
        if why != Why::Asked && !is_allowed(self.table, self.facts, (index, name)) {
            return Some(Why::NotAllowed);
        }
        let model = self.table.models.get(index as usize)?;
        filter::missing(self.facts, model).map(|missing| Why::Incapable { missing })
    }

    /// The deployments of a model in order; those that are in the plan already are not listed again.
    fn deployments(
        &self,
        model: &Model,
        (why, provider): (Why, Option<u32>),
        by_cost: bool,
        draft: &mut Draft,
    ) -> Vec<Attempt> {
        let overflows = filter::overflows(self.facts, model);
        let mut found = Vec::with_capacity(model.groups.len());
        for group in &model.groups {
            let seed = draft.next_seed();
            let mut add = |place: &Place, health: Health| {
                if provider.is_some_and(|asked| asked != place.provider) {
                    draft.removed.push((place.deployment, Why::OtherProvider));
                } else if model.is_pattern() || !draft.holds(place.deployment) {
                    let demoted = match health {
                        Health::Open => Some(Why::Resting),
                        Health::Limited => Some(Why::Limited),
                        Health::Good => overflows,
                    };
                    let model = Arc::clone(&model.name);
                    found.push(Attempt { deployment: place.deployment, model, why, demoted });
                }
            };
            if let [place] = group.as_slice() {
                add(place, self.world.signals(place.deployment).health);
                continue;
            }
            let signals: Vec<Signals> =
                group.iter().map(|place| self.world.signals(place.deployment)).collect();
            let mut order = balance::order(group, &signals, &mut Draws(seed));
            if by_cost {
                let cost = |&place: &u32| {
                    let place = place as usize;
                    self.cost(model, group[place].deployment, &signals[place])
                        .map_or(i64::MAX, |cost| cost.total.nanos())
                };
                order.sort_by_cached_key(cost);
            }
            for place in order {
                add(&group[place as usize], signals[place as usize].health);
            }
        }
        self.keep_to_policy(&mut found, draft);
        self.prefer(model, &mut found, draft);
        found
    }

    fn cost(
        &self,
        model: &Model,
        deployment: DeploymentId,
        signals: &Signals,
    ) -> Option<crate::choose::Cost> {
        let price = self.table.price(deployment)?;
        let estimate = self.world.estimate(model.index, self.facts.task);
        Some(cost::expected(price, self.facts, signals, &estimate))
    }

    /// All models that can serve the request, in the order of a mode; then a chain.
    fn by_mode(&self, aim: &Aim, rest: &[(u32, Why)]) -> Result<Plan, NoRoute> {
        let aim = &Aim { quality_per_usd: self.facts.quality_per_usd.unwrap_or(0.0), ..*aim };
        let why = Why::Mode { mode: aim.mode };
        let by_cost = matches!(aim.mode, Mode::Capable | Mode::Cheap | Mode::Budget);
        let mut draft = Draft::new(self.seed);
        let (mut well, mut unwell) = (Vec::new(), Vec::new());
        for index in self.table.pool() {
            let Some(model) = self.table.models.get(index as usize).filter(|model| !model.groups.is_empty())
            else {
                continue;
            };
            let refusal = self.refusal((index, None), why).or_else(|| filter::no_room(self.facts, model));
            if let Some(why) = refusal {
                draft.refuse(model, why);
                continue;
            }
            let attempts = self.deployments(model, (why, None), by_cost, &mut draft);
            let Some(option) = self.option(model, attempts) else { continue };
            let dear = self.facts.budget.is_some_and(|budget| option.offer.cost > budget);
            match option {
                _ if dear => draft.refuse(model, Why::TooDear),
                option if option.attempts.iter().all(|attempt| attempt.demoted.is_some()) => {
                    unwell.push(option);
                }
                option => well.push(option),
            }
        }
        let (mut well, reach) = ranked(aim, well);
        let (unwell, _) = ranked(aim, unwell);
        let offers: Vec<Offer> = well.iter().map(|option| option.offer).collect();
        let explored = explored(aim, &offers, &mut Draws(draft.next_seed()));
        if let Some(place) = explored {
            well[..=place].rotate_right(1);
        }
        let options: Vec<Ranked> = well.into_iter().chain(unwell).collect();
        let Some(first) = options.first() else {
            return Err(match draft.removed.last() {
                _ if draft.is_unwanted() => NoRoute::Unwanted { removed: draft.removed },
                Some((_, Why::NotAllowed)) | None => NoRoute::NoDeployment,
                Some((_, why)) => NoRoute::NoneLeft { why: *why },
            });
        };
        let asked = Arc::clone(&first.scored.model);
        let task = self.facts.task.map(Box::from);
        let mut scored = Vec::with_capacity(options.len());
        for option in options {
            scored.push(option.scored);
            draft.attempts.extend(option.attempts);
        }
        draft.choice =
            Some(Box::new(Choice { aim: *aim, task, reach, ranked: scored, explored: explored.is_some() }));
        for &(model, why) in rest.iter().filter(|_| self.takes_configured_fallbacks()) {
            self.extend(&mut draft, (model, why), (None, None));
        }
        self.fall_back(&mut draft);
        self.sort_together(&mut draft.attempts);
        draft.finish(self.table, (&asked, why))
    }

    /// What a model offers by the deployment that would be asked first.
    fn option(&self, model: &Model, attempts: Vec<Attempt>) -> Option<Ranked> {
        let first = attempts.iter().find(|attempt| attempt.demoted.is_none()).or(attempts.first())?;
        let deployment = first.deployment;
        let signals = self.world.signals(deployment);
        let estimate = self.world.estimate(model.index, self.facts.task);
        let price = self.table.price(deployment);
        let cost = price.map(|price| cost::expected(price, self.facts, &signals, &estimate));
        let offer = Offer {
            cost: cost.map_or(f64::INFINITY, |cost| cost.usd()),
            quality: f64::from(estimate.quality),
            low: f64::from(estimate.low),
            ttft_ms: signals.ttft_ms.map(f64::from),
            tokens_per_s: signals.tokens_per_s.map(f64::from),
        };
        let scored = Scored {
            model: Arc::clone(&model.name),
            deployment,
            cost,
            quality: estimate.quality,
            low: estimate.low,
            measured: estimate.measured,
            ttft_ms: signals.ttft_ms,
            tokens_per_s: signals.tokens_per_s,
        };
        Some(Ranked { attempts, offer, scored })
    }
}

/// A model that can serve the request.
struct Ranked {
    attempts: Vec<Attempt>,
    offer: Offer,
    scored: Scored,
}

/// Options from the best to the worst, and the lower bound that was enough.
fn ranked(aim: &Aim, options: Vec<Ranked>) -> (Vec<Ranked>, Option<f64>) {
    let offers: Vec<Offer> = options.iter().map(|option| option.offer).collect();
    let (order, reach) = rank(aim, &offers);
    let mut options: Vec<Option<Ranked>> = options.into_iter().map(Some).collect();
    (order.into_iter().filter_map(|place| options.get_mut(place as usize)?.take()).collect(), reach)
}

/// A plan in the making.
struct Draft {
    attempts: Vec<Attempt>,
    removed: Vec<(DeploymentId, Why)>,
    choice: Option<Box<Choice>>,
    exposure: Option<Exposure>,
    seed: u64,
}

impl Draft {
    fn new(seed: u64) -> Self {
        Self { attempts: Vec::with_capacity(4), removed: Vec::new(), choice: None, exposure: None, seed }
    }

    /// Another seed for each group of deployments.
    fn next_seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0xD1B5_4A32_D192_ED03);
        self.seed
    }

    fn holds(&self, deployment: DeploymentId) -> bool {
        self.attempts.iter().any(|attempt| attempt.deployment == deployment)
    }

    fn refuse(&mut self, model: &Model, why: Why) {
        self.removed.extend(model.groups.iter().flatten().map(|place| (place.deployment, why)));
    }

    /// Whether the request's own preferences removed something.
    fn is_unwanted(&self) -> bool {
        self.removed.iter().any(|(_, why)| matches!(why, Why::Preference { .. }))
    }

    fn finish(mut self, table: &Table, (asked, by): (&Arc<str>, Why)) -> Result<Plan, NoRoute> {
        if self.attempts.is_empty() {
            let missing = self.removed.iter().find_map(|(_, why)| match why {
                Why::Incapable { missing } => Some(*missing),
                _ => None,
            });
            if self.is_unwanted() {
                return Err(NoRoute::Unwanted { removed: self.removed });
            }
            if let Some((_, why @ Why::DataPolicy)) =
                self.removed.iter().find(|(_, why)| *why == Why::DataPolicy)
            {
                return Err(NoRoute::NoneLeft { why: *why });
            }
            let refused = || match self.removed.first() {
                Some((_, Why::NotAllowed)) => NoRoute::NotAllowed,
                _ => NoRoute::NoDeployment,
            };
            return Err(missing.map_or_else(refused, |missing| NoRoute::Incapable { missing }));
        }
        if self.attempts.iter().any(|attempt| attempt.demoted.is_some()) {
            // Stable: among equals the order above stays.
            self.attempts.sort_by_key(|attempt| match attempt.demoted {
                None => 0,
                Some(Why::Limited) => 2,
                Some(Why::Resting) => 3,
                Some(_) => 1,
            });
        }
        let bound = table.max_attempts;
        if self.attempts.len() > bound as usize {
            let cut = self.attempts.drain(bound as usize..);
            self.removed.extend(cut.map(|attempt| (attempt.deployment, Why::BeyondBound { bound })));
        }
        let Self { attempts, removed, choice, exposure, .. } = self;
        Ok(Plan { asked: Arc::clone(asked), by, attempts, removed, choice, exposure })
    }
}

#[cfg(test)]
mod tests;

//! Which deployments to try for a request, in what order, and why.
//!
//! Invariant: a plan is a pure function of the table, the facts, the health that it is told and a seed.
//! The same four give the same plan, so every decision can be replayed and explained.
//!
//! Reading order: [`plan`] is the decision; [`Facts`] and a [`World`] are what it may look at; a
//! [`Plan`] says what it decided; a [`Table`] is what the operator configured, made by a
//! [`TableBuilder`]; `names` is how a model's name is found in any spelling, `pattern` what
//! names stand for many.
//! [`Controls`] is what one request asks of routing, beside its model.
//! [`rules`] is the language of conditions, `router` their order, [`choose`] ranks models where neither
//! names one, `experiment` splits traffic, `task` tells what a request is about,
//! and [`features`] is what everything learnt sees of a text.
//! [`quality`] is how well a model is likely to answer, [`Pacer`] what that may cost.

pub mod choose;
mod controls;
mod experiment;
mod facts;
pub mod features;
pub mod learn;
mod names;
mod pacer;
mod pattern;
mod plan;
pub mod quality;
pub mod record;
mod router;
pub mod rules;
mod select;
mod table;
pub mod task;
mod world;

pub use controls::{
    Controls, Cutoffs, Dollars, MaxPrice, Offered, Pace, Preferences, Rank, Sort, Sorting, Suffixes, suffixed,
};
pub use experiment::{ArmEntry, ExperimentEntry, Unit};
pub use facts::{Facts, Named};
pub use names::fold;
pub use pacer::Pacer;
pub use pattern::{filled, is_pattern, part};
pub use plan::{Attempt, DeploymentId, Exposure, Missing, NoRoute, Plan, Preference, Why};
pub use router::{Judged, RuleEntry};
pub use select::plan;
pub use table::{Candidate, Choosing, ModelEntry, Needs, Table, TableBuilder, TableError};
pub use task::Classifier;
pub use world::{Estimate, Health, Signals, World};

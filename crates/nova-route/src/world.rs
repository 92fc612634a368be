//! What is known beyond the request: of deployments at this moment, and of models from experience.

use serde::{Deserialize, Serialize};

use crate::plan::DeploymentId;

/// Who knows.
///
/// The gateway's live state is one; the record of an earlier decision is another, so that it can be made again.
pub trait World {
    /// How a deployment does at this moment, for the request at hand.
    fn signals(&self, deployment: DeploymentId) -> Signals;

    /// What to expect of a model, by its place in the table, for a task.
    fn estimate(&self, model: usize, task: Option<&str>) -> Estimate {
        let _ = (model, task);
        Estimate::default()
    }
}

/// A world of which nothing is known but who rests.
impl<F: Fn(DeploymentId) -> Health> World for F {
    fn signals(&self, deployment: DeploymentId) -> Signals {
        Signals { health: self(deployment), ..Signals::default() }
    }
}

/// Whether a deployment may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing speaks against it.
    #[default]
    Good,
    /// Its provider said that it is asked too often, and when to come back; that time is not over.
    Limited,
    /// It rests after repeated failures (its breaker is open).
    Open,
}

/// How a deployment does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signals {
    /// Whether it may be asked.
    pub health: Health,
    /// Requests that it is answering.
    pub in_flight: u32,
    /// Milliseconds to its first token for prompts of this size, smoothed; `None` until it has answered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f32>,
    /// Milliseconds to the first token that 95 % of its answers stay below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ttft_ms: Option<f32>,
    /// Tokens of an answer per second, smoothed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_s: Option<f32>,
    /// The share of its tries that failed, smoothed, 0 to 1.
    pub errors: f32,
    /// Tokens of this prompt that its cache should hold, because it answered this session before.
    pub cached_tokens: u64,
    /// Whether something of the request would be lost on its way there; known only where the request demands that nothing is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub loses: bool,
}

/// What to expect of a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Tokens of its answer, reasoning included, on average.
    pub output_tokens: f32,
    /// The share of such requests that it answers well, 0 to 1: what is believed.
    pub quality: f32,
    /// What that share surely is at least: the belief less one standard deviation.
    pub low: f32,
    /// Whether somebody declared or measured it; else it is assumed from the price.
    pub measured: bool,
}

impl Default for Estimate {
    /// Of a model that nothing is known of.
    fn default() -> Self {
        Self { output_tokens: 512.0, quality: 0.5, low: 0.25, measured: false }
    }
}

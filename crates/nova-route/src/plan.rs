//! What was decided, and why.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::choose::{Choice, Mode};

/// A deployment, by its place in the configuration's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeploymentId(pub u32);

impl DeploymentId {
    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The deployments to try, in order, and those that were left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The model that was asked for, or that a rule chose, by its own name.
    #[serde(serialize_with = "as_text")]
    pub asked: Arc<str>,
    /// Why it is that model: [`Why::Asked`], [`Why::Rule`], [`Why::Rest`], [`Why::Mode`] or [`Why::Arm`].
    pub by: Why,
    /// What to try, first to last. Never empty, never the same deployment twice.
    pub attempts: Vec<Attempt>,
    /// What was considered and left out.
    pub removed: Vec<(DeploymentId, Why)>,
    /// How models were ranked, where the choice among them was ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Box<Choice>>,
    /// The experiment that this request is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
}

/// That a request is part of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// The experiment's name.
    #[serde(serialize_with = "as_text")]
    pub experiment: Arc<str>,
    /// The arm's name.
    #[serde(serialize_with = "as_text")]
    pub arm: Arc<str>,
}

/// One deployment to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Which one.
    pub deployment: DeploymentId,
    /// The model that it serves, by its own name.
    #[serde(serialize_with = "as_text")]
    pub model: Arc<str>,
    /// Why it is in the plan.
    pub why: Why,
    /// Why it stands behind others that it would precede, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demoted: Option<Why>,
}

/// Why a deployment is in a plan, where it is in it, or not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Why {
    /// It serves the model that was asked for.
    Asked,
    /// It serves the model of a rule that holds.
    Rule {
        /// The rule's place, from 1.
        rule: u32,
    },
    /// It serves a fallback of that rule.
    RuleFallback {
        /// The rule's place, from 1.
        rule: u32,
    },
    /// It serves the model for requests that no rule is about.
    Rest,
    /// It serves a model that was chosen by a mode.
    Mode {
        /// The mode.
        mode: Mode,
    },
    /// It serves the model of an experiment's arm.
    Arm,
    /// It serves a fallback of that model.
    Fallback,
    /// It serves a fallback of all models.
    DefaultFallback,
    /// It rests after repeated failures, so it is tried last.
    Resting,
    /// Its provider said that it is asked too often, so it is tried after the others.
    Limited,
    /// The prompt is clearly longer than its model's context, so it is tried after those that it fits.
    TooLong {
        /// The context in tokens.
        context: u64,
    },
    /// Its model cannot give an answer as long as is asked for.
    ShortAnswers {
        /// The most tokens that it gives.
        most: u64,
    },
    /// The request should cost more there than it may.
    TooDear,
    /// The caller's key may not use its model.
    NotAllowed,
    /// The caller's key wants its prompts treated otherwise, or it is not known how they are treated there.
    DataPolicy,
    /// Its model cannot do what the request needs.
    Incapable {
        /// What it lacks.
        missing: Missing,
    },
    /// The request names another provider.
    OtherProvider,
    /// The request does not want it to answer.
    Preference {
        /// What of the request says so.
        preference: Preference,
    },
    /// The plan is full without it.
    BeyondBound {
        /// How many attempts a plan may have.
        bound: u32,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { rule } => write!(f, "rule {rule} chooses its model"),
            Self::RuleFallback { rule } => write!(f, "rule {rule} falls back to its model"),
            Self::Rest => f.write_str("it serves what no rule is about"),
            Self::Mode { mode } => write!(f, "it is chosen by `{}`", mode.word()),
            Self::Arm => f.write_str("an experiment chooses its model"),
            Self::Limited => f.write_str("its provider asked for a pause"),
            Self::ShortAnswers { most } => write!(f, "its answers have at most {most} tokens"),
            Self::TooDear => f.write_str("the request should cost more there than it may"),
            Self::Asked => f.write_str("it serves the model that was asked for"),
            Self::Fallback => f.write_str("it serves a fallback of that model"),
            Self::DefaultFallback => f.write_str("it serves the default fallback"),
            Self::Resting => f.write_str("it rests after repeated failures"),
            Self::TooLong { context } => {
                write!(f, "the prompt is longer than its context of {context} tokens")
            }
            Self::DataPolicy => f.write_str("the key's data policy does not let its prompts go there"),
            Self::NotAllowed => f.write_str("the key may not use its model"),
            Self::Incapable { missing } => write!(f, "its model cannot take {missing}"),
            Self::OtherProvider => f.write_str("the request names another provider"),
            Self::Preference { preference } => f.write_str(preference.as_str()),
            Self::BeyondBound { bound } => write!(f, "a plan has at most {bound} attempts"),
        }
    }
}

/// A preference of a request that removes a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// `provider.only` names others.
    Only,
    /// `provider.ignore` names it.
    Ignore,
    /// `provider.allow_fallbacks: false`, and `provider.order` names others.
    Order,
    /// `provider.allow_fallbacks: false`, and another provider comes first.
    First,
    /// It charges more than `provider.max_price.prompt`.
    PromptPrice,
    /// It charges more than `provider.max_price.completion`.
    CompletionPrice,
    /// It charges more than `provider.max_price.request`.
    RequestPrice,
    /// There is a `provider.max_price`, and nobody knows what it charges.
    UnknownPrice,
    /// `provider.data_collection: deny`, and nobody says that it collects nothing.
    DataCollection,
    /// `provider.zdr: true`, and nobody says that it keeps nothing.
    Zdr,
    /// `provider.quantizations` has others.
    Quantizations,
    /// `provider.require_parameters: true`, and something of the request would be lost.
    Parameters,
    /// Its first tokens are known to take longer than `provider.max_latency`.
    Latency,
}

impl Preference {
    /// What to tell people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Only => "`provider.only` does not name its provider",
            Self::Ignore => "`provider.ignore` names its provider",
            Self::Order => {
                "`provider.allow_fallbacks` is false, and `provider.order` does not name its provider"
            }
            Self::First => "`provider.allow_fallbacks` is false, and another provider comes first",
            Self::PromptPrice => "it charges more than `provider.max_price.prompt`",
            Self::CompletionPrice => "it charges more than `provider.max_price.completion`",
            Self::RequestPrice => "it charges more than `provider.max_price.request`",
            Self::UnknownPrice => "its price is not known, and there is a `provider.max_price`",
            Self::DataCollection => {
                "`provider.data_collection` is `deny`, and nothing says that it collects no data"
            }
            Self::Zdr => "`provider.zdr` is true, and nothing says that it keeps no data",
            Self::Quantizations => "its quantization is not among `provider.quantizations`",
            Self::Parameters => {
                "`provider.require_parameters` is true, and something of the request would be lost there"
            }
            Self::Latency => "its first tokens take longer than `provider.max_latency`",
        }
    }
}

/// What a request needs and a model lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Images in the prompt.
    Images,
    /// Tool calls.
    Tools,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Images => "images",
            Self::Tools => "tools",
        })
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// No model has this name.
    #[error("no model has this name")]
    Unknown {
        /// Up to three names that look like it, the likeliest first. Only models that the key may use.
        nearest: Vec<String>,
    },
    /// The model is known, and nothing that is configured serves it or a fallback of it.
    #[error("no deployment of this model is configured")]
    NoDeployment,
    /// The key may not use the model.
    #[error("the key may not use this model")]
    NotAllowed,
    /// No deployment can do what the request needs.
    #[error("no deployment of this model can take {missing}")]
    Incapable {
        /// What they lack.
        missing: Missing,
    },
    /// The choice is ours, and every model was removed; this is why the last one was.
    #[error("no model can serve this request: of the last one, {why}")]
    NoneLeft {
        /// Why.
        why: Why,
    },
    /// The request's own preferences leave no deployment.
    #[error("no deployment of this model is as the request wants it")]
    Unwanted {
        /// What was considered, and what spoke against each.
        removed: Vec<(DeploymentId, Why)>,
    },
}

pub(crate) fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

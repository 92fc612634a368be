//! What a request is about, from what its human said last.
//!
//! Invariant: a verdict is a pure function of the text, of what is told about the request, and of the model;
//! it reads no more than a window of the text, so that its cost is bounded.
//!
//! Reading order: [`Classifier::judge`] is all that requests need; `label` the tasks that the training data
//! tells apart; `model` the weights and their file; `names` what rules may call a task, and which names take in
//! others; `agents` what programs put around a human's words; `lang` and `complexity` the two other facts that
//! a text gives; `keywords` the plain list of words of which one may be content. What the shipped model
//! was trained on, and how well it does, stands in `PROVENANCE.md`.

mod agents;
mod complexity;
mod keywords;
mod label;
mod lang;
mod model;
mod names;

use std::sync::{Arc, LazyLock};

use crate::features::{Features, Hint, extract};

pub use agents::{human, is_side_call};
pub use complexity::complexity;
pub use keywords::KEYWORDS;
pub use label::{TASKS, Task};
pub use lang::lang;
pub use model::{Model, ModelError, Weights, softmax};
pub(crate) use names::{meant, usual};

/// A document from which something is asked is long from this many tokens of prompt.
pub const LONG_DOCUMENT: u64 = 8_000;
/// A conversation is about a long document from this many tokens of prompt, where the last question does not
/// tell of one.
pub const LONG_CONTEXT: u64 = 32_000;
/// The task of calls that agents make beside the conversation: titles, compactions, probes.
pub const SIDE_CALL: &str = "side_call";

/// Who decides what a request is about where it does not say it itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Classifier {
    /// Nobody: then it is not known.
    None,
    /// Words that give it away ([`KEYWORDS`]).
    Keywords,
    /// The model that is shipped.
    #[default]
    Learned,
    /// A model that the operator trained.
    Trained(Arc<Model>),
}

/// What is known of a request beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// The prompt's length in tokens, estimated.
    pub prompt_tokens: u64,
    /// Whether it holds images.
    pub has_images: bool,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The most exact name that fits; `None` where nobody is sure enough.
    pub name: Option<&'static str>,
    /// How sure that is, 0 to 1: of all verdicts with this confidence, about this share is right.
    pub confidence: Option<f64>,
    /// The probabilities of the tasks, in the order of [`Task::ALL`].
    pub posterior: Option<[f32; TASKS]>,
    /// The language of the text, as ISO 639-1 has it.
    pub lang: Option<&'static str>,
    /// How hard the request is, 0 to 1.
    pub complexity: Option<f64>,
}

impl Classifier {
    /// What a request is about whose human said this last. `features` is only a place to work in.
    pub fn judge(&self, said: &str, around: Around, features: &mut Features) -> Verdict {
        match self {
            Self::None => Verdict::default(),
            Self::Keywords => Verdict { name: keywords::task(said), ..Verdict::default() },
            Self::Learned => shipped().judge(said, around, features),
            Self::Trained(model) => model.judge(said, around, features),
        }
    }

    /// Whether [`Self::judge`] fills in the features.
    pub const fn extracts(&self) -> bool {
        matches!(self, Self::Learned | Self::Trained(_))
    }

    /// The name of a text's task alone.
    pub fn task(&self, said: &str) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Keywords => keywords::task(said),
            Self::Learned | Self::Trained(_) => {
                self.judge(said, Around::default(), &mut Features::default()).name
            }
        }
    }
}

impl Model {
    /// What a request is about whose human said this last.
    pub fn judge(&self, said: &str, around: Around, features: &mut Features) -> Verdict {
        extract(said, features);
        let posterior = self.posterior(features);
        let (task, sure) = best(&posterior);
        let known = sure >= self.threshold();
        let (name, confidence) = match structural(task.filter(|_| known), around) {
            Some(name) => (Some(name), if around.has_images { 1.0 } else { sure }),
            None => (task.filter(|_| known).map(|task| exact(task, features)), sure),
        };
        Verdict {
            name,
            confidence: name.map(|_| f64::from(confidence)),
            posterior: Some(posterior),
            lang: lang(said),
            complexity: Some(complexity(features)),
        }
    }
}

/// The model that is shipped.
pub fn shipped() -> &'static Model {
    static MODEL: LazyLock<Model> =
        LazyLock::new(|| Model::from_bytes(SHIPPED).expect("a test reads the shipped model"));
    &MODEL
}

/// The file of the shipped model.
pub const SHIPPED: &[u8] = include_bytes!("tasks.bin");

/// The likeliest task and its probability.
fn best(posterior: &[f32; TASKS]) -> (Option<Task>, f32) {
    let ranked = Task::ALL.into_iter().zip(posterior);
    ranked.fold((None, 0.0), |best, (task, p)| if *p > best.1 { (Some(task), *p) } else { best })
}

/// The task that the form of a request decides, whatever its words are: images, and questions about a text
/// that is long.
fn structural(task: Option<Task>, around: Around) -> Option<&'static str> {
    if around.has_images {
        return Some("multimodal");
    }
    match task {
        Some(Task::DocQa) if around.prompt_tokens >= LONG_DOCUMENT => Some("long_document_qa"),
        Some(Task::Summarize) if around.prompt_tokens >= LONG_CONTEXT => Some("long_document_summary"),
        Some(Task::ChatQa) | None if around.prompt_tokens >= LONG_CONTEXT => Some("long_document_qa"),
        _ => None,
    }
}

/// The most exact name of a task that its words allow.
fn exact(task: Task, features: &Features) -> &'static str {
    match task {
        Task::Code if features.hints(Hint::Review) => "code_review",
        Task::Rewrite if features.hints(Hint::Translate) => "translation",
        Task::ChatQa if features.hints(Hint::Analysis) => "analysis",
        Task::Code => "code",
        Task::Math => "math",
        Task::Reasoning => "reasoning",
        Task::Creative => "creative",
        Task::Summarize => "summarize",
        Task::Rewrite => "rewrite",
        Task::Extract => "extraction",
        Task::DocQa => "doc_qa",
        Task::ChatQa => "chat",
    }
}

#[cfg(test)]
mod tests;

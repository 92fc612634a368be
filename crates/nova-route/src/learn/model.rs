//! What is learnt of a model, by kind of task.

use super::cells::{Evidence, Mean};
use crate::quality::Belief;
use crate::task::usual;
use crate::world::Estimate;

/// How many [`Kind`]s there are.
pub const KINDS: usize = 10;
/// What is left of all earlier outcomes when a new one comes: an old reputation lasts 500 of them.
const GAMMA: f32 = 0.998;
/// A mean of lengths forgets within as many answers.
const ANSWERS: f32 = 200.0;
/// What was assumed weighs as much as so many answers.
const ASSUMED_ANSWERS: f32 = 4.0;

/// A kind of task, as far as what is learnt is told apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Not known, or none of these.
    Other,
    /// Writing, reviewing and mending programs.
    Code,
    /// Mathematics.
    Math,
    /// Other reasoning.
    Reasoning,
    /// Stories, poems, ideas.
    Creative,
    /// Summaries.
    Summarize,
    /// Rewriting and translating.
    Rewrite,
    /// Taking facts out of texts, sorting into classes.
    Extract,
    /// Questions about a document.
    DocQa,
    /// Talk, questions of knowledge, explanations.
    Chat,
}

impl Kind {
    /// Every kind, in the order of their places.
    pub const ALL: [(Self, &'static str); KINDS] = [
        (Self::Other, "other"),
        (Self::Code, "code"),
        (Self::Math, "math"),
        (Self::Reasoning, "reasoning"),
        (Self::Creative, "creative"),
        (Self::Summarize, "summarize"),
        (Self::Rewrite, "rewrite"),
        (Self::Extract, "extract"),
        (Self::DocQa, "doc_qa"),
        (Self::Chat, "chat"),
    ];

    /// The kind of a task, by any of the names that rules use for it.
    pub fn of(task: Option<&str>) -> Self {
        let kind = |task: &str| Self::called(task).or_else(|| Self::called(usual(task)));
        task.and_then(kind).unwrap_or(Self::Other)
    }

    /// The kind by the names that the gateway writes itself.
    fn called(task: &str) -> Option<Self> {
        Some(match task {
            "other" => Self::Other,
            "code" | "code_review" => Self::Code,
            "math" => Self::Math,
            "reasoning" => Self::Reasoning,
            "creative" => Self::Creative,
            // What agents ask beside the conversation are titles and summaries of it.
            "summarize" | "long_document_summary" | "side_call" => Self::Summarize,
            "rewrite" | "translation" => Self::Rewrite,
            "extract" | "extraction" => Self::Extract,
            "doc_qa" | "long_document_qa" => Self::DocQa,
            "chat" | "chat_qa" | "analysis" => Self::Chat,
            _ => return None,
        })
    }

    /// Its word, in records and artefacts.
    pub fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// What is learnt of a model.
#[derive(Debug, Default)]
pub struct ModelCells {
    /// Tokens of its answers.
    outputs: [Mean; KINDS],
    /// Whether they were good.
    quality: [Evidence; KINDS],
}

impl ModelCells {
    /// An answer of so many tokens, reasoning included.
    pub fn answered(&self, kind: Kind, tokens: u64) {
        // Exact up to 2^24 tokens.
        self.outputs[kind as usize].observe(tokens as f32, ANSWERS);
    }

    /// The outcome of an answer: 1 good, 0 not, a grade stands between.
    pub fn judged(&self, kind: Kind, grade: f32) {
        self.quality[kind as usize].observe(grade, GAMMA);
    }

    /// What is known from records of the past: so many answers with so many tokens on average.
    pub fn recall_answers(&self, kind: Kind, count: u64, mean_tokens: f32) {
        self.outputs[kind as usize].set(mean_tokens, (count as f32).min(ANSWERS));
    }

    /// The evidence of quality at a kind of task: what worked and what did not.
    pub fn evidence(&self, kind: Kind) -> &Evidence {
        &self.quality[kind as usize]
    }

    /// Tokens of an answer to a kind of task, where `assumed` is what to start from.
    pub fn output_tokens(&self, kind: Kind, assumed: f32) -> f32 {
        self.outputs[kind as usize].get().map_or(assumed, |(mean, mass)| blend(assumed, mean, mass))
    }

    /// What to expect of the model at a kind of task, where `prior` is what was declared or assumed of its
    /// quality (and whether it was declared), and `assumed` how many tokens its answer would have else.
    pub fn estimate(&self, kind: Kind, (prior, declared): (Belief, bool), assumed: f32) -> Estimate {
        let output_tokens = self.output_tokens(kind, assumed);
        let evidence = &self.quality[kind as usize];
        let belief = evidence.belief(prior);
        let (worked, failed) = evidence.get();
        Estimate {
            output_tokens,
            quality: belief.mean() as f32,
            low: belief.lower(1.0) as f32,
            measured: declared || worked + failed >= 1.0,
        }
    }
}

fn blend(assumed: f32, mean: f32, mass: f32) -> f32 {
    (assumed * ASSUMED_ANSWERS + mean * mass) / (ASSUMED_ANSWERS + mass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_move_from_what_is_assumed_to_what_was_seen() {
        let cells = ModelCells::default();
        let prior = (Belief::prior(0.8, 8.0), false);
        let before = cells.estimate(Kind::Code, prior, 900.0);
        assert_eq!(before.output_tokens, 900.0);
        assert!(!before.measured && before.low < before.quality);
        for _ in 0..300 {
            cells.answered(Kind::Code, 4_000);
            cells.judged(Kind::Code, 1.0);
        }
        let after = cells.estimate(Kind::Code, prior, 900.0);
        assert!((3_900.0..=4_000.0).contains(&after.output_tokens), "{after:?}");
        assert!(after.measured && after.quality > 0.97 && after.low > 0.96, "{after:?}");
        assert_eq!(cells.estimate(Kind::Chat, prior, 400.0).quality, before.quality);
    }

    #[test]
    fn kinds_have_places_and_words_of_their_own() {
        for (place, (kind, word)) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.word()), (place, word));
            assert_eq!(Kind::of(Some(word)), kind);
        }
        assert_eq!(Kind::of(None), Kind::Other);
        let names = [
            ("debugging", Kind::Code),
            ("mathematics", Kind::Math),
            ("research", Kind::Chat),
            ("ours", Kind::Other),
        ];
        for (name, kind) in names {
            assert_eq!(Kind::of(Some(name)), kind, "{name}");
        }
        assert_eq!(Kind::of(Some(crate::task::SIDE_CALL)), Kind::Summarize);
    }
}

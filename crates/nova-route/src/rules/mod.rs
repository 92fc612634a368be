//! The language of rules: conditions on what is known of a request.
//!
//! `task == "long_document_qa" and context_length > 100000`. Comparisons (`==`, `!=`, `<`, `<=`, `>`, `>=`,
//! `in […]`, `not in […]`, `contains`, `matches`) joined by `and`, `or`, `not` (or `&&`, `||`, `!`) and
//! parentheses. `and` binds closer than `or`. It has no loops, no calls and no arithmetic, so every condition
//! ends; [`NAMES`] lists what it can read.
//!
//! Invariants: a [`Condition`] that was parsed cannot fail: its names are known and its types are right. A
//! comparison with a value that is not known does not hold, whatever it compares by. Nothing is allocated
//! when a condition is evaluated.
//!
//! Reading order: `lex` makes tokens, `parse` a tree, `formula` makes sure of names and types with the
//! table in `vars`, `code` is the flat form that requests run, `reason` finds what follows from a condition.

use std::ops::Range;

use crate::facts::Facts;

mod code;
mod formula;
mod lex;
mod parse;
mod reason;
mod vars;

use code::Code;
use formula::Formula;
use vars::{Flag, Number, Text};
pub use vars::{NAMES, Name};

/// A place in a condition's text, in bytes.
pub type Span = Range<usize>;

/// Longer conditions are refused, in bytes.
const MAX_LENGTH: usize = 4096;
/// More faults than this are not listed.
const MAX_FAULTS: usize = 20;

/// A condition, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Condition {
    text: Box<str>,
    formula: Formula,
    code: Code,
    asks: Asks,
}

/// Something that is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, in bytes of the text; empty at its end where something is missing.
    pub span: Span,
    /// What, with values in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { span: 0..0, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn at(self, span: Span) -> Self {
        Self { span, ..self }
    }
}

/// What a condition asks for that must be found out before it can be evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// What a human said: what the request is about, how hard it is, in which language.
    pub text: bool,
    /// Entries of the request's `metadata`.
    pub metadata: bool,
    /// What depends on the rule's own model: [`OfModel`].
    pub of_model: bool,
}

/// What is known of a request with the rule's own model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OfModel {
    /// What it should cost, in US dollars.
    pub est_cost: Option<f64>,
    /// Milliseconds to the first token that 95 % of answers stay below.
    pub p95_ttft_ms: Option<f64>,
    /// Whether the provider's cache should hold the beginning of the prompt.
    pub cache_warm: Option<bool>,
}

impl Asks {
    /// What either asks for.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            text: self.text || other.text,
            metadata: self.metadata || other.metadata,
            of_model: self.of_model || other.of_model,
        }
    }
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// All that is wrong with it, by place; never empty.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        if text.len() > MAX_LENGTH {
            let fault = Fault::new(format!("the condition is longer than {MAX_LENGTH} bytes"));
            return Err(vec![fault.hint("write several rules").at(0..text.len())]);
        }
        if text.trim().is_empty() {
            let fault = Fault::new("the condition is empty");
            return Err(vec![fault.hint("leave the key out for a rule that always holds").at(0..text.len())]);
        }
        let mut faults = Vec::new();
        let tree = parse::parse(text, &mut faults);
        let formula = formula::check(&tree, &mut faults);
        match formula {
            Some(formula) if faults.is_empty() => {
                let code = Code::of(&formula);
                let asks = code.asks();
                Ok(Self { text: text.into(), formula, code, asks })
            }
            _ => {
                faults.sort_by_key(|fault| (fault.span.start, fault.span.end));
                faults.dedup();
                faults.truncate(MAX_FAULTS);
                Err(faults)
            }
        }
    }

    /// Whether it holds for a request, given what is known of it with the rule's own model.
    pub fn holds(&self, facts: &Facts<'_>, of: &OfModel) -> bool {
        self.code.holds(facts, of)
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What must be found out before.
    pub const fn asks(&self) -> Asks {
        self.asks
    }

    /// The tags, headers and entries of the metadata that it reads, as `header.x-team`.
    pub fn texts(&self) -> Vec<String> {
        self.code.texts()
    }

    /// Whether it surely holds in no case in which the other does not.
    pub fn implies(&self, other: &Self) -> bool {
        reason::implies(&self.formula, &other.formula)
    }

    /// Whether it surely never holds.
    pub fn is_never(&self) -> bool {
        reason::is_never(&self.formula)
    }

    /// Whether it always holds.
    pub fn is_always(&self) -> bool {
        self.formula == Formula::Test(formula::Test::Always)
    }

    /// The tokens that a prompt surely has where it holds.
    pub fn least_context(&self) -> u64 {
        // Beyond 2^64 tokens nothing fits anyhow.
        reason::at_least(&self.formula, Number::ContextLength) as u64
    }

    /// Whether it holds only for prompts with images.
    pub fn demands_images(&self) -> bool {
        reason::demands(&self.formula, Flag::HasImages)
    }

    /// Whether it holds only for requests with tools.
    pub fn demands_tools(&self) -> bool {
        reason::demands(&self.formula, Flag::HasTools)
    }
}

#[cfg(test)]
mod tests;

//! What requests can be about.

use std::fmt;

/// The kinds of tasks that the classifier tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Writing, explaining, running or repairing programs.
    Code,
    /// Calculations and proofs.
    Math,
    /// Puzzles and conclusions from given statements.
    Reasoning,
    /// Stories, poems, letters, scripts: texts that are made up.
    Creative,
    /// A shorter form of a given text.
    Summarize,
    /// Another form of a given text, translations too.
    Rewrite,
    /// Facts, names or a class out of a given text.
    Extract,
    /// Answers out of a given text.
    DocQa,
    /// Questions and conversation without a given text.
    ChatQa,
}

impl Task {
    /// All of them, in the order of an artefact's columns.
    pub const ALL: [Self; TASKS] = [
        Self::Code,
        Self::Math,
        Self::Reasoning,
        Self::Creative,
        Self::Summarize,
        Self::Rewrite,
        Self::Extract,
        Self::DocQa,
        Self::ChatQa,
    ];

    /// The name that the training data has.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Math => "math",
            Self::Reasoning => "reasoning",
            Self::Creative => "creative",
            Self::Summarize => "summarize",
            Self::Rewrite => "rewrite",
            Self::Extract => "extract",
            Self::DocQa => "doc_qa",
            Self::ChatQa => "chat_qa",
        }
    }

    /// The task of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }
}

/// How many there are.
pub const TASKS: usize = 9;

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

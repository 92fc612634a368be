//! What is wrong with a catalogue: every problem at once, each with its place.

use std::fmt;

/// Why a catalogue could not be built. Never without a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogError {
    /// Everything that is wrong, in the order of the documents.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The document.
    pub file: String,
    /// The line of the value, or of its entry; 0 if unknown.
    pub line: u32,
    /// The column there, from 1; 0 if unknown.
    pub column: u32,
    /// The way to the value: `models.kimi-k2.6.offers[0].price.input`. Empty if the document could not
    /// be read.
    pub path: String,
    /// What is wrong, values in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogError {}

impl From<Problem> for CatalogError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

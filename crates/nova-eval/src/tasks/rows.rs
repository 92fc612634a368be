//! The rows of a file of prompts and their tasks.

use std::io::Read as _;

use nova_route::task::Task;
use serde::Deserialize;

/// A prompt whose task is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What somebody asked.
    pub prompt: String,
    /// What it is about.
    pub task: Task,
    /// Where it comes from.
    pub source: String,
    /// Who wrote it.
    pub style: Style,
}

/// Who wrote a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// A person who wanted something.
    User,
    /// A template of a benchmark.
    Bench,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// It cannot be decompressed, or is no text.
    #[error("it is not gzip over UTF-8")]
    Gzip(#[from] std::io::Error),
    /// A line is not a row.
    #[error("line {line} is not a row: {source}")]
    Row {
        /// Which, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A row has a label that is none of the tasks.
    #[error("line {line} has the label `{label}`, which is no task")]
    Label {
        /// Which, from 1.
        line: usize,
        /// What stands there.
        label: String,
    },
}

#[derive(Deserialize)]
struct Line {
    prompt: String,
    label: String,
    source: String,
    style: Style,
}

/// The rows of a file of JSON lines, compressed by gzip.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Vec<Row>, RowsError> {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(line, json)| {
            let row: Line = serde_json::from_str(json).map_err(|source| RowsError::Row { line, source })?;
            let Some(task) = Task::named(&row.label) else {
                return Err(RowsError::Label { line, label: row.label });
            };
            Ok(Row { prompt: row.prompt, task, source: row.source, style: row.style })
        })
        .collect()
}

//! What models answered right: the data that routers are trained on and judged by.

use std::collections::HashMap;
use std::io::Read as _;

use serde::Deserialize;

/// Graded answers of several models to the same prompts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcomes {
    /// The models, in the order of their names.
    pub models: Vec<String>,
    /// The tasks, in the order of their names.
    pub tasks: Vec<String>,
    /// One for each prompt, in the order of the file.
    pub rows: Vec<Row>,
    /// A row says that nothing may be trained on it (`eval_only: true`).
    pub eval_only: bool,
}

/// One prompt and how well each model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was asked.
    pub prompt: String,
    /// Place of the task in [`Outcomes::tasks`].
    pub task: usize,
    /// For each model 0 (wrong) to 1 (right), or nothing where it was not asked.
    pub grades: Vec<Option<f32>>,
    /// For each model how many characters it answered with, where that is known.
    pub out_chars: Vec<Option<u32>>,
    /// RouteLLM's lists say that its routers were trained on this prompt.
    pub contaminated: bool,
}

/// Why a file is no outcomes.
#[derive(Debug, thiserror::Error)]
pub enum OutcomesError {
    /// The gzip stream is broken.
    #[error("the file cannot be unpacked: {0}")]
    Gzip(#[from] std::io::Error),
    /// A line is not a row.
    #[error("line {line} is no outcome: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// No rows.
    #[error("the file holds no outcomes")]
    Empty,
}

#[derive(Deserialize)]
struct Line {
    prompt: String,
    #[serde(default)]
    task: String,
    #[serde(default)]
    outcomes: HashMap<String, f32>,
    /// MT-bench: grades of 1 to 10 for each turn.
    #[serde(default)]
    scores: HashMap<String, Vec<f32>>,
    #[serde(default)]
    out_chars: HashMap<String, u32>,
    #[serde(default)]
    contaminated: bool,
    #[serde(default)]
    eval_only: bool,
}

/// The bytes, unpacked where they are gzip.
///
/// # Errors
/// A gzip stream that breaks off.
pub fn unpack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain)?;
    } else {
        plain.extend_from_slice(bytes);
    }
    Ok(plain)
}

impl Outcomes {
    /// Reads JSON lines, packed by gzip or not.
    ///
    /// Each has a `prompt`, `outcomes` by model (0 to 1), and may have a `task`, `out_chars` by model,
    /// `contaminated` and `eval_only`. `scores` (lists of 1 to 10 by model) stand for `outcomes` in MT-bench.
    ///
    /// # Errors
    /// The first line that is not of that form, or a file without any.
    pub fn read(bytes: &[u8]) -> Result<Self, OutcomesError> {
        let plain = unpack(bytes)?;
        let mut lines = Vec::new();
        for (at, line) in plain.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let wrong = |why: String| OutcomesError::Line { line: at + 1, why };
            let mut line: Line = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
            let graded = line
                .scores
                .drain()
                .map(|(model, turns)| (model, turns.iter().sum::<f32>() / turns.len().max(1) as f32 / 10.0));
            line.outcomes.extend(graded.collect::<Vec<_>>());
            if let Some((model, grade)) =
                line.outcomes.iter().find(|(_, grade)| !(0.0..=1.0).contains(*grade))
            {
                return Err(wrong(format!("the grade `{grade}` of `{model}` is not within 0 and 1")));
            }
            lines.push(line);
        }
        if lines.is_empty() { Err(OutcomesError::Empty) } else { Ok(Self::of(lines)) }
    }

    fn of(lines: Vec<Line>) -> Self {
        let models = sorted(lines.iter().flat_map(|line| line.outcomes.keys()));
        let tasks = sorted(lines.iter().map(|line| &line.task));
        let eval_only = lines.iter().any(|line| line.eval_only);
        let row = |line: Line| Row {
            task: tasks.binary_search(&line.task).unwrap_or_default(),
            grades: models.iter().map(|model| line.outcomes.get(model).copied()).collect(),
            out_chars: models.iter().map(|model| line.out_chars.get(model).copied()).collect(),
            prompt: line.prompt,
            contaminated: line.contaminated,
        };
        Self {
            rows: lines.into_iter().map(row).collect(),
            models: models.clone(),
            tasks: tasks.clone(),
            eval_only,
        }
    }

    /// Only these models, in this order, and only the rows that all of them answered.
    ///
    /// # Errors
    /// The name of a model that is not there.
    pub fn only(&self, models: &[&str]) -> Result<Self, String> {
        let place = |name: &&str| {
            self.models.iter().position(|model| model == name).ok_or_else(|| (*name).to_owned())
        };
        let places: Vec<usize> = models.iter().map(place).collect::<Result<_, _>>()?;
        let rows = self.rows.iter().filter(|row| places.iter().all(|at| row.grades[*at].is_some()));
        let row = |row: &Row| Row {
            grades: places.iter().map(|at| row.grades[*at]).collect(),
            out_chars: places.iter().map(|at| row.out_chars[*at]).collect(),
            prompt: row.prompt.clone(),
            ..*row
        };
        Ok(Self {
            models: models.iter().map(|name| (*name).to_owned()).collect(),
            tasks: self.tasks.clone(),
            rows: rows.map(row).collect(),
            eval_only: self.eval_only,
        })
    }

    /// Both one after the other; models and tasks are told by their names.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let models = sorted(self.models.iter().chain(&other.models));
        let tasks = sorted(self.tasks.iter().chain(&other.tasks));
        let row = |of: &Self, row: &Row| {
            let find = |model: &String| of.models.iter().position(|name| name == model);
            Row {
                prompt: row.prompt.clone(),
                task: tasks.binary_search(&of.tasks[row.task]).unwrap_or_default(),
                grades: models.iter().map(|model| find(model).and_then(|at| row.grades[at])).collect(),
                out_chars: models.iter().map(|model| find(model).and_then(|at| row.out_chars[at])).collect(),
                contaminated: row.contaminated,
            }
        };
        let rows =
            self.rows.iter().map(|one| row(self, one)).chain(other.rows.iter().map(|one| row(other, one)));
        Self {
            rows: rows.collect(),
            eval_only: self.eval_only || other.eval_only,
            models: models.clone(),
            tasks: tasks.clone(),
        }
    }
}

fn sorted<'s>(names: impl Iterator<Item = &'s String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const TWO: &str = r#"{"prompt": "a", "task": "code", "outcomes": {"small": 0, "large": 1}, "out_chars": {"large": 8}}

{"prompt": "b", "task": "chat", "outcomes": {"large": 0.5}, "contaminated": true}
"#;

    #[test]
    fn rows_are_read_packed_or_not() {
        let outcomes = Outcomes::read(TWO.as_bytes()).unwrap();
        assert_eq!(outcomes.models, ["large", "small"]);
        assert_eq!(outcomes.tasks, ["chat", "code"]);
        assert_eq!(outcomes.rows[0].grades, [Some(1.0), Some(0.0)]);
        assert_eq!(outcomes.rows[0].out_chars, [Some(8), None]);
        assert_eq!((outcomes.rows[0].task, outcomes.rows[1].task), (1, 0));
        assert_eq!(outcomes.rows[1].grades, [Some(0.5), None]);
        assert!(outcomes.rows[1].contaminated && !outcomes.eval_only);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(TWO.as_bytes()).unwrap();
        assert_eq!(Outcomes::read(&packed.finish().unwrap()).unwrap(), outcomes);
    }

    #[test]
    fn grades_of_mt_bench_are_means_of_turns() {
        let line = r#"{"prompt": "a", "scores": {"m": [8, 9]}, "eval_only": true}"#;
        let outcomes = Outcomes::read(line.as_bytes()).unwrap();
        assert_eq!(outcomes.rows[0].grades, [Some(0.85)]);
        assert!(outcomes.eval_only);
    }

    #[test]
    fn what_is_no_outcome_is_refused_with_its_line() {
        let check = |text: &str, says: &str| {
            let error = Outcomes::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        };
        check("", "no outcomes");
        check("{\"prompt\": \"a\"}\n{", "line 2");
        check(r#"{"task": "a"}"#, "missing field `prompt`");
        check(r#"{"prompt": "a", "outcomes": {"m": 1.5}}"#, "the grade `1.5` of `m`");
        check("\u{1f}", "line 1");
        assert!(matches!(Outcomes::read(&[0x1f, 0x8b, 0]), Err(OutcomesError::Gzip(_))));
    }

    #[test]
    fn models_are_picked_and_files_are_joined_by_name() {
        let outcomes = Outcomes::read(TWO.as_bytes()).unwrap();
        let both = outcomes.only(&["small", "large"]).unwrap();
        assert_eq!(both.rows.len(), 1, "the second row has no grade of `small`");
        assert_eq!(both.rows[0].grades, [Some(0.0), Some(1.0)]);
        assert_eq!(outcomes.only(&["huge"]), Err("huge".to_owned()));

        let other = br#"{"prompt": "c", "task": "art", "outcomes": {"tiny": 1}}"#;
        let joined = outcomes.and(&Outcomes::read(other).unwrap());
        assert_eq!(joined.models, ["large", "small", "tiny"]);
        assert_eq!(joined.tasks, ["art", "chat", "code"]);
        assert_eq!(joined.rows[2].grades, [None, None, Some(1.0)]);
        assert_eq!(joined.tasks[joined.rows[0].task], "code");
    }
}

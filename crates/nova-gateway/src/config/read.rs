//! From a text to raw types, with all that is wrong.
//!
//! Serde stops at the first error. So the node that is wrong is cut out of the tree, its error noted, and
//! the rest read again, until it reads. What is cut is remembered: a map that lost an entry is not blamed
//! for lacking it, and names that may have been among what was lost are not called unknown.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use nova_catalog::yaml::Located;
use serde::Deserialize;

use super::checked::Env;
use super::de::De;
use super::fill;
use super::problem::{Place, Problem};
use super::raw::RawConfig;
use super::tree::{self, Node, Value};

/// More errors than this are not looked for.
const MAX_PROBLEMS: usize = 50;

/// A document that was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// What is there, without what was wrong.
    pub(crate) raw: RawConfig,
    /// The tree it was read from, to find the whole of a place.
    tree: Option<Node>,
    /// Whether something was cut out of which names may have come.
    pub(crate) lost_names: bool,
    /// Entries such as `models.mine` from which something was cut out.
    pub(crate) spoiled: Vec<String>,
    /// What references stood for; none of it may be shown.
    pub(crate) filled: Vec<String>,
}

impl Read {
    /// The whole place of the value or key that begins here.
    pub(crate) fn place(&self, line: u32, column: u32) -> Place {
        let found = self.tree.as_ref().and_then(|tree| tree.at(line, column));
        found.map_or(Place { line, column, width: 1 }, |(place, _)| place)
    }

    /// The place of a piece of a text; of the whole text where that cannot be told, because it goes over
    /// several lines, has escapes, or stands elsewhere.
    pub(crate) fn piece(&self, text: &Located<String>, piece: Range<usize>) -> Place {
        let found = self.tree.as_ref().and_then(|tree| tree.at(text.line, text.column));
        let Some((whole, Some(scalar))) = found else { return self.place(text.line, text.column) };
        let letters = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let quotes = match whole.width.checked_sub(letters(&scalar.text)) {
            Some(0) if scalar.plain => 0,
            Some(2) if !scalar.plain => 1,
            _ => return whole,
        };
        let (Some(before), Some(within)) = (scalar.text.get(..piece.start), scalar.text.get(piece)) else {
            return whole;
        };
        if scalar.filled || scalar.text.contains('\n') {
            return whole;
        }
        Place { column: whole.column + quotes + letters(before), width: letters(within).max(1), ..whole }
    }

    /// Whether the value is written out here, instead of as a `${…}`.
    pub(crate) fn is_written_out<T>(&self, value: &Located<T>) -> bool {
        let found = self.tree.as_ref().and_then(|tree| tree.at(value.line, value.column));
        found.is_some_and(|(_, scalar)| scalar.is_some_and(|scalar| !scalar.filled))
    }
}

/// Top-level keys from which no name of a model or provider comes. What is lost below any other, a
/// misspelled one included, may have been where a name was given.
const NAMELESS: &[&str] = &[
    "listen",
    "allow_remote",
    "data_dir",
    "database",
    "credentials",
    "deployments",
    "fallbacks",
    "default_fallback",
    "default_model",
    "timeouts",
    "retry",
    "limits",
    "keys",
    "presets",
    "telemetry",
    "count_tokens",
    "responses",
    "feedback",
    "route",
    "routes",
    "routing",
    "experiments",
    "shadows",
    "compare",
    "streaming_beta",
];

/// Reads a text; `None` where it is not YAML at all.
pub(crate) fn read(text: &str, source: &str, env: &Env, problems: &mut Vec<Problem>) -> Option<Read> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree = match tree::read(text, problems) {
        Ok(Some(tree)) => tree,
        Ok(None) => {
            let (spoiled, filled) = (Vec::new(), Vec::new());
            return Some(Read { raw: RawConfig::default(), tree: None, lost_names: false, spoiled, filled });
        }
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let mut lost_names = !problems.is_empty();
    let mut damaged = HashSet::new();
    let mut spoiled = Vec::new();
    let mut cut = |tree: &mut Node, id: u32| {
        let path = tree.path(id);
        lost_names |= path.first().is_none_or(|key| !NAMELESS.contains(key));
        if let [section, entry, ..] = path.as_slice() {
            spoiled.push(format!("{section}.{entry}"));
        }
        let cut = tree.cut(id);
        damaged.extend(cut.from.iter().copied());
        cut.done
    };
    let folder = Path::new(source).parent().unwrap_or(Path::new(""));
    let mut filled = Vec::new();
    for id in fill::fill(&mut tree, (folder, env), &mut filled, problems) {
        cut(&mut tree, id);
    }
    if !matches!(tree.value, Value::Map(_)) && !tree.is_null() {
        let problem = Problem::at(tree.place, "a configuration is a map of keys");
        problems.push(problem.hint("begin with a key, such as `listen: 127.0.0.1:6682`"));
        return None;
    }
    let mut reported = Vec::new();
    let raw = loop {
        let wrong = match RawConfig::deserialize(De(&tree)) {
            Ok(raw) => break raw,
            Err(wrong) => wrong,
        };
        let id = wrong.id?;
        reported.push((id, wrong.problem));
        if reported.len() >= MAX_PROBLEMS || !cut(&mut tree, id) {
            break RawConfig::default();
        }
    };
    // A map that lost an entry is not blamed for what it then lacks.
    problems.extend(reported.into_iter().filter(|(id, _)| !damaged.contains(id)).map(|(_, problem)| problem));
    Some(Read { raw, tree: Some(tree), lost_names, spoiled, filled })
}

//! From a text to raw types, with all that is wrong.
//!
//! Serde stops at the first error. So the node that is wrong is cut out of the tree, its error noted, and
//! the rest read again, until it reads. What is cut is remembered: a map that lost an entry is not blamed
//! for lacking it, and names that may have been among what was lost are not called unknown.

use std::collections::HashSet;
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
    /// Whether something was cut out, so that names may be missing.
    pub(crate) is_partial: bool,
}

impl Read {
    /// The whole place of the value or key that begins here.
    pub(crate) fn place(&self, line: u32, column: u32) -> Place {
        let found = self.tree.as_ref().and_then(|tree| tree.at(line, column));
        found.map_or(Place { line, column, width: 1 }, |(place, _)| place)
    }

    /// Whether the value is written out here, instead of as a `${…}`.
    pub(crate) fn is_written_out<T>(&self, value: &Located<T>) -> bool {
        let found = self.tree.as_ref().and_then(|tree| tree.at(value.line, value.column));
        found.is_some_and(|(_, scalar)| scalar.is_some_and(|scalar| !scalar.filled))
    }
}

/// Reads a text; `None` where it is not YAML at all.
pub(crate) fn read(text: &str, source: &str, env: &Env, problems: &mut Vec<Problem>) -> Option<Read> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree = match tree::read(text, problems) {
        Ok(Some(tree)) => tree,
        Ok(None) => return Some(Read { raw: RawConfig::default(), tree: None, is_partial: false }),
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let folder = Path::new(source).parent().unwrap_or(Path::new(""));
    let mut damaged = HashSet::new();
    for id in fill::fill(&mut tree, folder, env, problems) {
        damaged.extend(tree.cut(id).from);
    }
    if !matches!(tree.value, Value::Map(_)) && !tree.is_null() {
        let problem = Problem::at(tree.place, "a configuration is a map of keys");
        problems.push(problem.hint("begin with a key, such as `listen: 127.0.0.1:6682`"));
        return None;
    }
    let mut is_partial = !problems.is_empty();
    while problems.len() < MAX_PROBLEMS {
        let wrong = match RawConfig::deserialize(De(&tree)) {
            Ok(raw) => return Some(Read { raw, tree: Some(tree), is_partial }),
            Err(wrong) => wrong,
        };
        let Some(id) = wrong.id else {
            problems.push(Problem { place: tree.place, ..wrong.problem });
            return None;
        };
        if !(wrong.lacks && damaged.contains(&id)) {
            problems.push(wrong.problem);
        }
        is_partial = true;
        let cut = tree.cut(id);
        damaged.extend(cut.from);
        if !cut.done {
            return None;
        }
    }
    None
}

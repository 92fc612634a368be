//! Turns raw entries into types that cannot be wrong, and says everything that stands in the way.
//!
//! Nothing else validates. Reading order: this file (what is common), then [`provider`], [`model`],
//! [`price`].

mod model;
mod price;
mod provider;

use std::fmt::Write as _;

use crate::date::Date;
use crate::error::{CatalogError, Problem};
use crate::model::Model;
use crate::provider::Provider;
use crate::raw::RawCatalog;
use crate::yaml::{Entries, Located};

/// Which documents are checked, and how strictly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Documents<'a> {
    /// Where the providers stand.
    pub(crate) providers: &'a str,
    /// Where the models stand.
    pub(crate) models: &'a str,
    /// Whether entries must be complete: source, date, context and capabilities. A configuration may
    /// leave them out.
    pub(crate) strict: bool,
}

/// Checks all entries.
pub(crate) fn check(
    raw: &RawCatalog,
    documents: Documents<'_>,
) -> Result<(Vec<Provider>, Vec<Model>), CatalogError> {
    let mut problems = Vec::new();
    let providers = provider::check(raw, documents, &mut problems);
    let models = model::check(raw, documents, &mut problems);
    if problems.is_empty() { Ok((providers, models)) } else { Err(CatalogError { problems }) }
}

/// Reports entries that differ in letter case alone, which the YAML reader lets pass.
pub(crate) fn duplicates<T>(file: &str, section: &str, entries: &Entries<T>, problems: &mut Vec<Problem>) {
    for (index, (id, _)) in entries.0.iter().enumerate() {
        if let Some((first, _)) = entries.0[..index].iter().find(|(first, _)| first.eq_ignore_ascii_case(id))
        {
            let message = format!("`{}` was given before, as `{}`", id.value, first.value);
            let mut scope = Scope::new(file, section, id, problems);
            scope.report_with("", message, "letter case does not matter in names".to_owned());
        }
    }
}

/// One entry under check: where its problems are.
struct Scope<'p> {
    problems: &'p mut Vec<Problem>,
    file: &'p str,
    /// `providers.deepseek`
    path: String,
    line: u32,
    column: u32,
}

impl<'p> Scope<'p> {
    fn new(file: &'p str, section: &str, id: &Located<String>, problems: &'p mut Vec<Problem>) -> Self {
        let path = format!("{section}.{}", id.value);
        Self { problems, file, path, line: id.line, column: id.column }
    }

    /// Something is wrong with a field of the entry.
    fn report(&mut self, field: &str, message: impl Into<String>) {
        self.push(field, (self.line, self.column), message.into(), None);
    }

    /// The same, with advice.
    fn report_with(&mut self, field: &str, message: impl Into<String>, hint: String) {
        self.push(field, (self.line, self.column), message.into(), Some(hint));
    }

    /// Something is wrong with this value.
    fn report_at<T>(
        &mut self,
        field: &str,
        at: &Located<T>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let place = if at.line > 0 { (at.line, at.column) } else { (self.line, self.column) };
        self.push(field, place, message.into(), hint);
    }

    fn push(&mut self, field: &str, (line, column): (u32, u32), message: String, hint: Option<String>) {
        let mut path = self.path.clone();
        if !field.is_empty() {
            let _ = write!(path, ".{field}");
        }
        let file = self.file.to_owned();
        self.problems.push(Problem { file, line, column, path, message, hint });
    }

    /// A date, if one is given and is one.
    fn date(&mut self, field: &str, text: Option<&Located<String>>) -> Option<Date> {
        let text = text?;
        match text.value.parse() {
            Ok(date) => Some(date),
            Err(error) => {
                self.report_at(field, text, format!("`{}` {error}", text.value), None);
                None
            }
        }
    }

    /// Where the entry's facts are from, and when they were compared. Configurations need not say.
    fn provenance(
        &mut self,
        source: Option<&String>,
        checked: Option<&Located<String>>,
        strict: bool,
    ) -> (String, Option<Date>) {
        if strict && source.is_none_or(String::is_empty) {
            self.report("source", "is missing: every row says where its facts are from");
        }
        if strict && checked.is_none() {
            self.report("checked", "is missing: every row says when its facts were compared with the source");
        }
        let source = source.cloned().unwrap_or_else(|| "configuration".to_owned());
        (source, self.date("checked", checked))
    }
}

/// The name among these that is most like another, as advice.
fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = crate::nearest::nearest(name, known, 1);
    near.first().map(|known| format!("did you mean `{known}`?"))
}

#[cfg(test)]
mod tests;

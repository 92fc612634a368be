//! One page of a list: Anthropic's by cursors, Gemini's by tokens. A cursor is the id of the model at the
//! edge of the page before, so that a list that changes in between neither repeats nor skips much.

use super::super::paths::parameter;
use crate::error::{Code, GatewayError};
use crate::snapshot::ListedModel;

/// What is shown, and whether there is more in the direction of reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'p, 'm> {
    pub(super) rows: &'p [&'m ListedModel],
    pub(super) more: bool,
}

/// Anthropic's page: `limit` (1 to 1,000, default 20), `after_id` or `before_id`.
pub(super) fn anthropic<'p, 'm>(
    models: &'p [&'m ListedModel],
    query: Option<&str>,
) -> Result<Page<'p, 'm>, GatewayError> {
    let limit = size(query, "limit", 20)?;
    if let Some(id) = parameter(query, "before_id") {
        let end = place(models, &id, "before_id")?;
        let start = end.saturating_sub(limit);
        return Ok(Page { rows: &models[start..end], more: start > 0 });
    }
    forward(models, parameter(query, "after_id").as_deref(), ("after_id", limit))
}

/// Gemini's page: `pageSize` (1 to 1,000, default 50) and `pageToken`.
pub(super) fn gemini<'p, 'm>(
    models: &'p [&'m ListedModel],
    query: Option<&str>,
) -> Result<Page<'p, 'm>, GatewayError> {
    let limit = size(query, "pageSize", 50)?;
    let after = parameter(query, "pageToken").filter(|token| !token.is_empty());
    forward(models, after.as_deref(), ("pageToken", limit))
}

fn forward<'p, 'm>(
    models: &'p [&'m ListedModel],
    after: Option<&str>,
    (name, limit): (&str, usize),
) -> Result<Page<'p, 'm>, GatewayError> {
    let start = match after {
        None => 0,
        Some(id) => place(models, id, name)? + 1,
    };
    let end = (start + limit).min(models.len());
    Ok(Page { rows: &models[start..end], more: end < models.len() })
}

fn place(models: &[&ListedModel], id: &str, name: &str) -> Result<usize, GatewayError> {
    let found = models.iter().position(|model| model.is_called(id));
    found.ok_or_else(|| wrong(name, format!("`{name}` is `{id}`, and there is no such model")))
}

fn size(query: Option<&str>, name: &str, default: usize) -> Result<usize, GatewayError> {
    let Some(text) = parameter(query, name) else { return Ok(default) };
    let size = text.parse().ok().filter(|size| (1..=1000).contains(size));
    size.ok_or_else(|| wrong(name, format!("`{name}` is `{text}`, and must be between 1 and 1000")))
}

fn wrong(name: &str, message: String) -> GatewayError {
    GatewayError { param: Some(name.to_owned()), ..GatewayError::new(Code::BadRequest, message) }
}

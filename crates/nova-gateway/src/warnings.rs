//! What a client and the operator should know of an answer besides: that its model will be retired, and that another
//! model answered than the one that was asked for.
//!
//! Invariant: an answer of which there is nothing to say costs one comparison of two names.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use nova_catalog::{Date, Model};
use nova_route::fold;

use crate::snapshot::Deployment;
use crate::telemetry::Metrics;

/// The most that is shown of a name, which is a provider's own.
const LONGEST: usize = 128;

static WARNING: HeaderName = HeaderName::from_static("x-novastack-warning");

/// What is known beforehand of the warnings of a deployment, and which were logged.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    /// That the model is retired, and when.
    retirement: Option<HeaderValue>,
    /// The names by which its model may answer.
    names: Vec<String>,
    /// A name that it answered by, other than the one it was asked by, which was found to mean the same.
    usual: OnceLock<String>,
    /// The first answer by a name that means another model, with what is told of it.
    other: OnceLock<Drift>,
    retirement_logged: AtomicBool,
    drift_logged: AtomicBool,
}

/// What was asked, who answered, and the warning.
#[derive(Debug)]
struct Drift {
    asked: String,
    answered: String,
    warning: HeaderValue,
}

impl Warnings {
    /// Of a deployment that asks its provider for `upstream_model`.
    pub(crate) fn of(model: Option<&Model>, upstream_model: &str) -> Self {
        let retirement = model.and_then(|model| Some(of_retirement(&model.id, model.deprecated?)));
        let names = std::iter::once(upstream_model).chain(model.into_iter().flat_map(Model::names));
        let names = names.filter(|name| !nova_route::is_pattern(name));
        Self {
            retirement: retirement.and_then(|text| HeaderValue::from_str(&text).ok()),
            names: names.map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// Whether an answer by this name comes from another model than the one that is asked for by `upstream_model`.
    fn has_drifted(&self, upstream_model: &str, answered: &str) -> bool {
        if answered == upstream_model || self.usual.get().is_some_and(|usual| usual == answered) {
            return false;
        }
        let is_own = |name: &String| means(name, answered);
        let drifted = !means(upstream_model, answered) && !self.names.iter().any(is_own);
        // One that serves many models has no usual one.
        if !drifted && self.names.iter().any(is_own) {
            // Of several such names the first one is kept; the others are compared each time.
            let _ = self.usual.set(answered.to_owned());
        }
        drifted
    }
}

/// What to tell of a model's retirement.
pub fn of_retirement(model: &str, day: Date) -> String {
    format!("model `{model}` is retired by its maker on {day}")
}

/// Says that the model of an answer is retired, in its headers, and once for each deployment in the log.
pub(crate) fn retirement(headers: &mut HeaderMap, deployment: &Deployment) {
    let warnings = &deployment.warnings;
    let Some(retirement) = &warnings.retirement else { return };
    headers.append(&WARNING, retirement.clone());
    if !warnings.retirement_logged.swap(true, Ordering::Relaxed) {
        tracing::warn!(deployment = %deployment.name, "{}", retirement.to_str().unwrap_or_default());
    }
}

/// Says that another model answered than the one that was asked for, where it did: in the headers, in the metrics,
/// and once for each deployment in the log. Both names are the provider's own.
pub(crate) fn drift(
    headers: &mut HeaderMap,
    deployment: &Deployment,
    (asked, answered): (&str, &str),
    metrics: &Metrics,
) {
    let warnings = &deployment.warnings;
    if let Some(known) = warnings.other.get()
        && known.answered == answered
        && known.asked == asked
    {
        headers.append(&WARNING, known.warning.clone());
        return metrics.drifted(&deployment.provider, &deployment.model);
    }
    if !warnings.has_drifted(asked, answered) {
        return;
    }
    let visible = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    let shown: String = answered.chars().map(visible).take(LONGEST).collect();
    let text = format!("`{}` was asked for `{asked}` and says that `{shown}` answered", deployment.provider);
    if let Ok(warning) = HeaderValue::from_str(&text) {
        if answered.len() <= LONGEST {
            let (asked, answered) = (asked.to_owned(), answered.to_owned());
            // Of several such names the first one is kept; the others are compared each time.
            let _ = warnings.other.set(Drift { asked, answered, warning: warning.clone() });
        }
        headers.append(&WARNING, warning);
    }
    metrics.drifted(&deployment.provider, &deployment.model);
    if !warnings.drift_logged.swap(true, Ordering::Relaxed) {
        tracing::warn!(deployment = %deployment.name, "{text}");
    }
}

/// Whether two names mean one model: they are the same but for what stands before (`anthropic/`, `us.anthropic.`,
/// `accounts/x/models/`), and for a date or a version behind (`-2026-01-31`, `-0813`, `-v1:0`, `-latest`).
fn means(one: &str, other: &str) -> bool {
    let words = |name: &str| -> Vec<String> {
        let name = name.rsplit('/').next().unwrap_or_default().replace([':', '@'], "-");
        fold(&name).split('-').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let (one, other) = (words(one), words(other));
    let (short, long) = if one.len() <= other.len() { (&one, &other) } else { (&other, &one) };
    if short.is_empty() {
        return one == other;
    }
    (0..=long.len() - short.len()).any(|start| {
        let end = start + short.len();
        // A number alone behind is another model: `gpt-5` and `gpt-5.5`.
        long[start..end] == short[..] && is_version(&long[end..])
    })
}

/// Whether words say only which version of a model it is.
fn is_version(words: &[String]) -> bool {
    const WORDS: [&str; 8] = ["latest", "preview", "exp", "fp8", "fp4", "bf16", "int4", "int8"];
    let Some((first, rest)) = words.split_first() else { return true };
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let dated = digits(first) && first.len() >= 3;
    let counted = first.strip_prefix('v').is_some_and(|number| !number.is_empty() && digits(number));
    let named = WORDS.contains(&first.as_str());
    (dated || counted || named) && rest.iter().all(|word| digits(word) || WORDS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_a_version_and_a_vendor_make_no_other_model() {
        for (asked, answered, same) in [
            ("gpt-5.5", "gpt-5.5-2026-04-23", true),
            ("gpt-5.5", "gpt-5.5-mini", false),
            ("gpt-5", "gpt-5.5", false),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5", true),
            ("us.anthropic.claude-opus-5-v1:0", "claude-opus-5", true),
            ("anthropic/claude-opus-5", "claude-opus-5-20260801", true),
            ("claude-opus-5", "claude-sonnet-5", false),
            ("accounts/fireworks/models/deepseek-v4-flash", "deepseek-v4-flash", true),
            ("deepseek-ai/DeepSeek-V4-Pro-0813", "deepseek-v4-pro", true),
            ("deepseek-v4-pro", "deepseek-v4-flash", false),
            ("gemini-3.8-flash", "models/gemini-3.8-flash-001", true),
            ("gemini-3.8-flash", "gemini-3.8-flash-lite", false),
            ("kimi-k2.6", "kimi-latest", false),
            ("m", "", false),
        ] {
            assert_eq!(means(asked, answered), same, "{asked} {answered}");
            assert_eq!(means(answered, asked), same, "{answered} {asked}");
        }
    }

    #[test]
    fn what_was_found_the_same_once_is_not_compared_again() {
        let warnings = Warnings { names: vec!["up".into(), "house-model".into()], ..Warnings::default() };
        assert!(!warnings.has_drifted("up", "up") && warnings.usual.get().is_none());
        assert!(!warnings.has_drifted("up", "house-model-2026-01-01"));
        assert_eq!(warnings.usual.get().map(String::as_str), Some("house-model-2026-01-01"));
        assert!(warnings.has_drifted("up", "other"));
    }
}

//! The names that a condition may use: one table, which the parser, the evaluation and the guide share.

use super::{Fault, OfModel};
use crate::facts::{Facts, WEEKDAYS};

/// A number that a condition can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Number {
    ContextLength,
    MaxTokens,
    Turns,
    Budget,
    BudgetLeft,
    EstCost,
    TaskConfidence,
    Complexity,
    Hour,
    P95Ttft,
}

/// A text that a condition can read. Metadata may hold numbers, which are compared as such.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Text {
    Task,
    Lang,
    Weekday,
    KeyName,
    KeyOwner,
    Tag(Box<str>),
    Header(Box<str>),
    Metadata(Box<str>),
}

/// A truth that a condition can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Flag {
    Stream,
    HasImages,
    HasTools,
    JsonSchema,
    CacheWarm,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Number(Number),
    /// A number of milliseconds, which is compared with `500ms` or `2s`.
    Time(Number),
    Text(Text),
    Flag(Flag),
}

/// A name of the language, for its documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name; where it ends in `.*`, any name may stand there.
    pub name: &'static str,
    /// `number`, `time`, `text` or `yes or no`.
    pub kind: &'static str,
    /// What it says of a request.
    pub says: &'static str,
}

const fn name(name: &'static str, kind: &'static str, says: &'static str) -> Name {
    Name { name, kind, says }
}

/// Every name that a condition may use.
#[rustfmt::skip]
pub const NAMES: &[Name] = &[
    name("context_length", "number", "tokens of the prompt, estimated"),
    name("max_tokens", "number", "tokens that the answer may have, as the request says"),
    name("turns", "number", "messages of the conversation"),
    name("task", "text", "what the request is about: `x-novastack-task`, else what the classifier says"),
    name("task_type", "text", "another name of `task`"),
    name("task_confidence", "number", "how sure that is, 0 to 1"),
    name("complexity", "number", "how hard the request is, 0 to 1"),
    name("budget", "number", "US dollars that the request may cost: `x-novastack-budget`"),
    name("budget_left", "number", "US dollars that the key may still spend"),
    name("est_cost", "number", "US dollars that the request should cost with the rule's own model"),
    name("stream", "yes or no", "whether the answer is streamed"),
    name("has_images", "yes or no", "whether images stand in the prompt"),
    name("has_tools", "yes or no", "whether tools are offered"),
    name("json_schema", "yes or no", "whether a form of the answer is asked for"),
    name("cache_warm", "yes or no", "whether the cache of the rule's own model should hold the beginning of the prompt"),
    name("lang", "text", "the language of the prompt"),
    name("hour", "number", "the hour of the day in UTC, 0 to 23"),
    name("weekday", "text", "the day of the week in UTC: `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`"),
    name("p95_ttft", "time", "time to the first token that 95 % of the answers of the rule's own model stay below"),
    name("key.name", "text", "the name of the caller's key"),
    name("key.owner", "text", "the owner of the caller's key"),
    name("tags.*", "text", "a tag of the caller's key"),
    name("header.*", "text", "a header of the request, its name in any case"),
    name("metadata.*", "text", "an entry of the request's `metadata`"),
];

/// Headers whose values are secrets: a rule that reads them would put them into explanations.
const SECRET: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key"];

/// What a name stands for, or what is wrong with it; whose place is then the caller's to add.
pub(super) fn find(name: &str) -> Result<Variable, Fault> {
    if let Some(variable) = plain(name) {
        return Ok(variable);
    }
    match name.split_once('.') {
        Some(("header", header)) if SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(header)) => {
            Err(Fault::new(format!("`{name}` is a secret, which no rule may read")).hint("use `key.name`"))
        }
        Some(("header", header)) => {
            Ok(Variable::Text(Text::Header(header.to_ascii_lowercase().into_boxed_str())))
        }
        Some(("tags", tag)) => Ok(Variable::Text(Text::Tag(tag.into()))),
        Some(("metadata", entry)) => Ok(Variable::Text(Text::Metadata(entry.into()))),
        _ => Err(unknown(name)),
    }
}

fn plain(name: &str) -> Option<Variable> {
    Some(match name {
        "context_length" => Variable::Number(Number::ContextLength),
        "max_tokens" => Variable::Number(Number::MaxTokens),
        "turns" => Variable::Number(Number::Turns),
        "task" | "task_type" => Variable::Text(Text::Task),
        "task_confidence" => Variable::Number(Number::TaskConfidence),
        "complexity" => Variable::Number(Number::Complexity),
        "budget" => Variable::Number(Number::Budget),
        "budget_left" => Variable::Number(Number::BudgetLeft),
        "est_cost" => Variable::Number(Number::EstCost),
        "stream" => Variable::Flag(Flag::Stream),
        "has_images" => Variable::Flag(Flag::HasImages),
        "has_tools" => Variable::Flag(Flag::HasTools),
        "json_schema" => Variable::Flag(Flag::JsonSchema),
        "cache_warm" => Variable::Flag(Flag::CacheWarm),
        "lang" => Variable::Text(Text::Lang),
        "hour" => Variable::Number(Number::Hour),
        "weekday" => Variable::Text(Text::Weekday),
        "p95_ttft" => Variable::Time(Number::P95Ttft),
        "key.name" => Variable::Text(Text::KeyName),
        "key.owner" => Variable::Text(Text::KeyOwner),
        _ => return None,
    })
}

fn unknown(name: &str) -> Fault {
    let fault = Fault::new(format!("there is no `{name}`"));
    let folded = name.to_ascii_lowercase().replace('-', "_");
    let likeness = |known: &Name| strsim::jaro_winkler(known.name, &folded);
    let best = NAMES.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match best.filter(|best| name.len() <= 64 && likeness(best) >= 0.8) {
        Some(best) if best.name.ends_with(".*") => {
            let family = best.name.trim_end_matches('*');
            fault.hint(format!("write `{family}` and a name behind it"))
        }
        Some(best) => fault.hint(format!("did you mean `{}`?", best.name)),
        None => fault.hint("docs/guides/routing.md lists the names; texts stand in quotes"),
    }
}

impl Number {
    /// Its value, as far as it is known.
    pub(super) fn read(self, facts: &Facts<'_>, of: &OfModel) -> Option<f64> {
        match self {
            // Exact up to 2^53 tokens.
            Self::ContextLength => Some(facts.prompt_tokens as f64),
            Self::MaxTokens => facts.max_tokens.map(|tokens| tokens as f64),
            Self::Turns => facts.turns.map(f64::from),
            Self::Budget => facts.budget,
            Self::BudgetLeft => facts.budget_left,
            Self::EstCost => of.est_cost,
            Self::TaskConfidence => facts.task_confidence,
            Self::Complexity => facts.complexity,
            Self::Hour => facts.hour().map(f64::from),
            Self::P95Ttft => of.p95_ttft_ms,
        }
    }

    /// The least and the greatest value that it can have.
    pub(super) const fn bounds(self) -> (f64, f64) {
        match self {
            Self::Hour => (0.0, 23.0),
            Self::TaskConfidence | Self::Complexity => (0.0, 1.0),
            // A key may be overdrawn.
            Self::BudgetLeft => (f64::NEG_INFINITY, f64::INFINITY),
            _ => (0.0, f64::INFINITY),
        }
    }
}

impl Text {
    /// Its value, as far as it is known.
    pub(super) fn read<'a>(&self, facts: &Facts<'a>) -> Option<&'a str> {
        match self {
            Self::Task => facts.task,
            Self::Lang => facts.lang,
            Self::Weekday => facts.weekday(),
            Self::KeyName => facts.key_name,
            Self::KeyOwner => facts.key_owner,
            Self::Tag(name) => facts.tags.get(name),
            Self::Header(name) => facts.headers.get(name),
            Self::Metadata(name) => facts.metadata.get(name),
        }
    }

    /// All values that it can have, where they are few.
    pub(super) const fn values(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Weekday => Some(&WEEKDAYS),
            _ => None,
        }
    }

    /// Whether its values may be numbers or `true` and `false`.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Tag(_) | Self::Header(_) | Self::Metadata(_))
    }
}

impl Flag {
    /// Its value, as far as it is known.
    pub(super) const fn read(self, facts: &Facts<'_>, of: &OfModel) -> Option<bool> {
        match self {
            Self::Stream => Some(facts.stream),
            Self::HasImages => Some(facts.has_images),
            Self::HasTools => Some(facts.has_tools),
            Self::JsonSchema => Some(facts.json_schema),
            Self::CacheWarm => of.cache_warm,
        }
    }
}

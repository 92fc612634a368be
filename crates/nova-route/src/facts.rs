//! What a decision may look at.

use std::fmt;

use nova_catalog::DataPolicy;

use crate::controls::Controls;

/// The days of the week as rules name them, from Monday.
pub(crate) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const MS_PER_HOUR: i64 = 3_600_000;
const HOURS_PER_DAY: i64 = 24;

/// What is known of a request when it is routed. What is `None` is not known, and no rule that asks for it
/// holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The model's name as the client wrote it: any spelling, an alias, or `provider/model`.
    pub model: &'a str,
    /// The prompt's length in tokens, estimated.
    pub prompt_tokens: u64,
    /// The most tokens that the answer may have, where the request says it.
    pub max_tokens: Option<u64>,
    /// How many messages the request has.
    pub turns: Option<u32>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the request holds images.
    pub has_images: bool,
    /// Whether the request offers tools.
    pub has_tools: bool,
    /// Whether the request asks for a form of the answer.
    pub json_schema: bool,
    /// The models that the caller's key may use, in any spelling; `None` allows all.
    pub allowed_models: Option<&'a [String]>,
    /// What the request asks of routing beside its model.
    pub controls: Option<&'a Controls>,
    /// The name of the caller's key.
    pub key_name: Option<&'a str>,
    /// The owner of the caller's key.
    pub key_owner: Option<&'a str>,
    /// A number that stands for the caller's key.
    pub key: Option<u64>,
    /// A number that stands for the conversation that the request goes on with.
    pub session: Option<u64>,
    /// A number that stands for the user behind the caller, where the request names one.
    pub user: Option<u64>,
    /// What the request is about.
    pub task: Option<&'a str>,
    /// How sure that is, 0 to 1.
    pub task_confidence: Option<f64>,
    /// How hard the request is, 0 to 1.
    pub complexity: Option<f64>,
    /// What the request may cost, in US dollars.
    pub budget: Option<f64>,
    /// What the key may still spend, in US dollars.
    pub budget_left: Option<f64>,
    /// How much quality (0 to 1) one US dollar must buy, as the key's pacer says.
    pub quality_per_usd: Option<f64>,
    /// The language of the prompt.
    pub lang: Option<&'a str>,
    /// The time, in Unix milliseconds.
    pub now_ms: Option<i64>,
    /// Where the key's prompts may go.
    pub data: Option<&'a DataPolicy>,
    /// The key's tags.
    pub tags: Named<'a>,
    /// The request's headers, by their names in lower case.
    pub headers: Named<'a>,
    /// The entries of the request's `metadata`.
    pub metadata: Named<'a>,
}

impl Facts<'_> {
    /// The hour of the day in UTC.
    pub(crate) fn hour(&self) -> Option<u8> {
        u8::try_from(self.now_ms?.div_euclid(MS_PER_HOUR).rem_euclid(HOURS_PER_DAY)).ok()
    }

    /// The day of the week in UTC.
    pub(crate) fn weekday(&self) -> Option<&'static str> {
        let days = self.now_ms?.div_euclid(MS_PER_HOUR * HOURS_PER_DAY);
        // The first of January 1970 was a Thursday.
        let day = usize::try_from((days + 3).rem_euclid(7)).ok()?;
        WEEKDAYS.get(day).copied()
    }
}

/// Texts by their names, wherever they are kept.
#[derive(Clone, Copy, Default)]
pub struct Named<'a>(Option<&'a Find<'a>>);

/// The text of a name.
type Find<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

impl<'a> Named<'a> {
    /// What a function says of a name.
    pub const fn of(find: &'a Find<'a>) -> Self {
        Self(Some(find))
    }

    /// The text of a name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.and_then(|find| find(name))
    }
}

impl fmt::Debug for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Named(…)" } else { "Named(none)" })
    }
}

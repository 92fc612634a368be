//! Whether and how much the model thinks.

use serde_json::{Map, Value, json};

use super::write::{drop_named, insert_into};
use crate::draft::strength;
use crate::hub::request::{Part, Request, Role, Thinking, ToolChoice};
use crate::quirks::{Quirks, ReplayThinking, ThinkingSwitch};

/// The least budget that Anthropic takes, in tokens.
const MIN_BUDGET: u64 = 1024;

/// The efforts that a model takes unless its quirks say otherwise, weakest first.
const EFFORTS: &[&str] = &["low", "medium", "high", "max"];

/// What became of the client's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinks {
    /// The request says nothing, or says no.
    No,
    /// Up to a budget. Then the history is checked: a turn with tool calls must open with a signed thought.
    Budget,
    /// As much as the model likes; the history is not checked.
    Adaptive,
}

impl Thinks {
    pub(super) fn is_on(self) -> bool {
        self != Self::No
    }
}

/// Writes `thinking` and `output_config.effort`.
///
/// Given up, and named, where it cannot be had: beside a forced tool, under a bound on the answer that
/// leaves no room, or over a history whose last tool calls come from a model that signs nothing
/// (Anthropic: "Expected `thinking` or `redacted_thinking`, but found `tool_use`").
pub(super) fn write(
    request: &Request,
    quirks: &Quirks,
    max_tokens: u64,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Thinks {
    let switch = quirks.thinking_switch;
    let forced = !request.tools.is_empty()
        && matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let wish = match &request.thinking {
        // Nobody asked for the thinking that stands in the way of the tool.
        Thinking::Unsaid if forced && quirks.no_forced_tool_when_thinking == Some(true) => {
            switch_off(quirks, body);
            return Thinks::No;
        }
        Thinking::Unsaid => return Thinks::No,
        Thinking::Adaptive { effort: Some(effort) } if effort == "none" => Thinking::Off,
        wish => wish.clone(),
    };
    let cannot = switch == Some(ThinkingSwitch::None) || (wish == Thinking::Off && always(quirks));
    if cannot {
        drop_named(dropped, "reasoning_effort");
        return Thinks::No;
    }
    if wish == Thinking::Off {
        body.insert("thinking".to_owned(), json!({ "type": "disabled" }));
        return Thinks::No;
    }
    // A model that always thinks keeps thinking; the choice of tools gives way instead.
    if forced && quirks.no_forced_tool_when_thinking != Some(false) && !always(quirks) {
        return give_up(quirks, body, dropped);
    }
    if wants_budget(&wish, switch) {
        let budget = match &wish {
            Thinking::Budget(tokens) => *tokens,
            Thinking::Adaptive { effort } => budget_of(effort.as_deref()),
            Thinking::Unsaid | Thinking::Off => MIN_BUDGET,
        };
        // The budget is part of the answer's bound, and the answer needs a token too.
        let unsigned = quirks.replay_thinking != Some(ReplayThinking::Required) && unsigned_calls(request);
        if max_tokens <= MIN_BUDGET || unsigned {
            return give_up(quirks, body, dropped);
        }
        let budget = budget.clamp(MIN_BUDGET, max_tokens - 1);
        body.insert("thinking".to_owned(), json!({ "type": "enabled", "budget_tokens": budget }));
        return Thinks::Budget;
    }
    body.insert("thinking".to_owned(), json!({ "type": "adaptive" }));
    let effort = match &wish {
        Thinking::Adaptive { effort } => effort.as_deref(),
        Thinking::Budget(tokens) => Some(effort_of(*tokens)),
        Thinking::Unsaid | Thinking::Off => None,
    };
    if let Some(effort) = effort {
        insert_into(body, "output_config", "effort", json!(nearest(effort, quirks)));
    }
    Thinks::Adaptive
}

fn give_up(quirks: &Quirks, body: &mut Map<String, Value>, dropped: &mut Vec<String>) -> Thinks {
    drop_named(dropped, "reasoning_effort");
    switch_off(quirks, body);
    Thinks::No
}

/// Says no to a model that would think unless told otherwise.
fn switch_off(quirks: &Quirks, body: &mut Map<String, Value>) {
    if quirks.thinking_default_on == Some(true) && !always(quirks) {
        body.insert("thinking".to_owned(), json!({ "type": "disabled" }));
    }
}

/// Whether the model thinks whatever it is told: it does so by itself, and knows either no switch or
/// only one for the effort.
pub(super) fn always(quirks: &Quirks) -> bool {
    quirks.thinking_default_on == Some(true)
        && matches!(quirks.thinking_switch, Some(ThinkingSwitch::None | ThinkingSwitch::Adaptive))
}

/// Whether the target is told a budget. Without a quirk it gets the client's own form.
fn wants_budget(wish: &Thinking, switch: Option<ThinkingSwitch>) -> bool {
    match switch {
        Some(ThinkingSwitch::Budget | ThinkingSwitch::ThinkingType) => true,
        Some(ThinkingSwitch::Adaptive) => false,
        _ => matches!(wish, Thinking::Budget(_)),
    }
}

/// The budget that an effort is, in tokens.
fn budget_of(effort: Option<&str>) -> u64 {
    match effort {
        Some("minimal" | "low") => 1024,
        Some("medium") => 2048,
        Some("xhigh") => 8192,
        Some("max") => 16_384,
        _ => 4096,
    }
}

/// The effort that a budget is. Clients ask for tens of thousands of tokens as a matter of course, so
/// no budget means more than `high`.
const fn effort_of(budget: u64) -> &'static str {
    match budget {
        0..=2047 => "low",
        2048..=8191 => "medium",
        _ => "high",
    }
}

/// The effort itself where the model takes it, or else the next weaker one, or the weakest.
fn nearest<'a>(effort: &'a str, quirks: &'a Quirks) -> &'a str {
    let known: Vec<&str> = match &quirks.efforts {
        Some(efforts) => efforts.iter().map(String::as_str).collect(),
        None => EFFORTS.to_vec(),
    };
    let Some(asked) = strength(effort) else { return effort };
    if known.contains(&effort) {
        return effort;
    }
    let weaker = known.iter().rev().find(|word| strength(word).is_some_and(|step| step < asked));
    weaker.or(known.first()).copied().unwrap_or(effort)
}

/// Whether the model's last turn calls tools and has no signed thought.
fn unsigned_calls(request: &Request) -> bool {
    let before = request.turns.iter().rev().skip_while(|turn| turn.role != Role::Assistant);
    let parts =
        || before.clone().take_while(|turn| turn.role == Role::Assistant).flat_map(|turn| &turn.parts);
    let signed = |part: &Part| {
        matches!(part, Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking { .. })
    };
    parts().any(|part| matches!(part, Part::ToolCall(_))) && !parts().any(signed)
}

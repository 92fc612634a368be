//! What is said of a comparison, in JSON.

use nova_catalog::NanoUsd;
use nova_wire::{Finish, Usage};
use serde_json::{Map, Value, json};

use super::judge::Verdict;
use super::lane::{Ended, Lane};
use crate::error::GatewayError;

/// All of it.
pub(super) fn whole((id, created): (&str, i64), lanes: &[Lane], verdict: Option<&Verdict>) -> Value {
    let named =
        |index: Option<usize>| index.and_then(|index| lanes.get(index)).map(|lane| lane.name.as_str());
    json!({
        "object": "comparison",
        "id": id,
        "created": created,
        "results": lanes.iter().map(result).collect::<Vec<Value>>(),
        "judge": verdict.map(|verdict| judge(verdict, lanes)),
        "cheapest": named(least(lanes, |ended| ended.bill?.cost.map(NanoUsd::nanos))),
        // To the microsecond, so that it can be compared exactly.
        "fastest": named(least(lanes, |ended| Some((ended.total_ms * 1e3) as i64))),
    })
}

/// One answer.
pub(super) fn result(lane: &Lane) -> Value {
    let none = Ended::default();
    let ended = lane.ended.as_ref().unwrap_or(&none);
    let calls = lane.calls.iter().map(|call| json!({ "name": call.name, "arguments": call.arguments }));
    let mut result = json!({
        "model": lane.name,
        "request_id": lane.id.as_str(),
        "answered_by": ended.model,
        "provider": ended.provider,
        "text": lane.text,
        "finish_reason": ended.finish.as_ref().map(finish_word),
        "usage": ended.bill.map(|bill| usage(&bill.usage)),
        "cost": ended.bill.and_then(|bill| bill.cost),
        "ttft_ms": ended.first_ms,
        "total_ms": ended.total_ms,
        "error": ended.error.as_ref().map(error),
    });
    if !lane.dropped.is_empty() {
        result["dropped"] = json!(lane.dropped);
    }
    if !lane.calls.is_empty() {
        result["tool_calls"] = calls.collect::<Vec<Value>>().into();
    }
    result
}

/// What the judge said.
fn judge(verdict: &Verdict, lanes: &[Lane]) -> Value {
    let scores: Map<String, Value> = lanes
        .iter()
        .zip(&verdict.scores)
        .filter_map(|(lane, score)| Some((lane.name.clone(), (*score)?.into())))
        .collect();
    json!({
        "model": verdict.model,
        "request_id": verdict.id.as_ref().map(crate::state::RequestId::as_str),
        "winner": verdict.winner.and_then(|index| lanes.get(index)).map(|lane| lane.name.as_str()),
        "scores": scores,
        "reason": verdict.reason,
        "usage": verdict.bill.map(|bill| usage(&bill.usage)),
        "cost": verdict.bill.and_then(|bill| bill.cost),
        "error": verdict.error.as_ref().map(error),
    })
}

/// The good answer with the least of something; of equals the first.
fn least(lanes: &[Lane], of: impl Fn(&Ended) -> Option<i64>) -> Option<usize> {
    let good = lanes.iter().enumerate().filter(|(_, lane)| lane.is_good());
    let known = good.filter_map(|(index, lane)| Some((of(lane.ended.as_ref()?)?, index)));
    known.min().map(|(_, index)| index)
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt(),
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "cached_tokens": usage.cache_read,
        "reasoning_tokens": usage.reasoning,
    })
}

fn error(error: &GatewayError) -> Value {
    json!({ "code": error.code.row().word, "message": error.message })
}

/// OpenAI's words.
fn finish_word(finish: &Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Filter => "content_filter",
        _ => "stop",
    }
}

//! `multi_tool_use.parallel`: OpenAI's models know a wrapper around several calls, which leaks into an
//! answer now and then, although nobody offered it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::hub::request::ToolCall;

#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow)]
    tool_uses: Vec<Use<'a>>,
}

#[derive(Deserialize)]
struct Use<'a> {
    recipient_name: String,
    #[serde(borrow)]
    parameters: &'a RawValue,
}

/// Whether a call of this name may be the wrapper.
pub(super) fn may_wrap(name: &str) -> bool {
    matches!(name, "parallel" | "multi_tool_use.parallel" | "multi_tool_use_parallel")
}

/// The calls inside of the wrapper; `None` where this is an ordinary call after all.
pub(super) fn unwrap(call: &ToolCall) -> Option<Vec<ToolCall>> {
    if !may_wrap(&call.name) {
        return None;
    }
    let wrapper: Wrapper<'_> = serde_json::from_str(&call.arguments).ok()?;
    let inner = |(at, one): (usize, Use<'_>)| {
        let name = one.recipient_name.strip_prefix("functions.")?.to_owned();
        let id = if at == 0 { call.id.clone() } else { format!("{}_{}", call.id, at + 1) };
        Some(ToolCall { id, name, arguments: one.parameters.get().to_owned(), ..ToolCall::default() })
    };
    let calls: Option<Vec<ToolCall>> = wrapper.tool_uses.into_iter().enumerate().map(inner).collect();
    calls.filter(|calls| !calls.is_empty())
}

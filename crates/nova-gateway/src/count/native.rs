//! Asking the provider's own counter.
//!
//! Sources: Anthropic "Token counting" (`/v1/messages/count_tokens`), Gemini `models.countTokens`, OpenAI
//! "Counting tokens" (`/v1/responses/input_tokens`). The local engine counts a chat at `/v1/tokenize`.

use std::time::Duration;

use bytes::Bytes;
use nova_upstream::{Endpoint, Request};
use nova_wire::hub::past::Past;
use nova_wire::splice::{self, Edit};
use nova_wire::{Dialect, Target};
use serde::Deserialize;

use crate::config::{LOCAL_PROVIDER, Mount};
use crate::pipeline::{Understood, attempt};
use crate::snapshot::{Deployment, Snapshot};
use crate::state::Worker;

/// Nobody waits longer for a number that can be estimated.
const PATIENCE: Duration = Duration::from_secs(10);
/// A count is a few bytes.
const MOST: usize = 64 * 1024;

/// What counters say; each has one of these.
#[derive(Debug, Deserialize)]
struct Answer {
    input_tokens: Option<u64>,
    #[serde(rename = "totalTokens")]
    total_tokens: Option<u64>,
    count: Option<u64>,
}

/// The tokens as the provider counts them; `None` where it may not or cannot be asked.
pub(super) async fn ask(
    worker: &Worker,
    snapshot: &Snapshot,
    deployment: &Deployment,
    (client, request): (Dialect, &Understood),
) -> Option<u64> {
    if !snapshot.counters.iter().any(|provider| *provider == *deployment.provider) {
        return None;
    }
    let mount = deployment.mount_for(client);
    let endpoint = endpoint(deployment, mount)?;
    let upstream_model = deployment.upstream_for(&request.peek.model);
    let target = Target {
        dialect: mount.dialect,
        model: &upstream_model,
        quirks: &mount.quirks,
        max_output: deployment.max_output,
    };
    let recall = |id: &str| worker.shared.recall.find(request.key.id, id);
    let past = Past { provider: &deployment.provider, recall: Some(&recall) };
    let outbound =
        nova_wire::translate::request_after(client, &request.body, &request.peek, &target, &past).ok()?;
    let body = body(mount.dialect, &upstream_model, outbound.body)?;
    let headers = attempt::headers(request.beta.as_ref(), client, mount);
    let mut deadlines = deployment.deadlines;
    deadlines.first_byte = deadlines.first_byte.min(PATIENCE);
    deadlines.total = deadlines.total.min(PATIENCE);
    let sent = worker.client.send(Request {
        credential: deployment.credential.as_ref(),
        headers: &headers,
        deadlines,
        ..Request::post(&endpoint, body)
    });
    let answer = match sent.await {
        Ok(response) if response.status.is_success() => response.body.collect(MOST).await,
        Ok(response) => {
            let status = response.status.as_u16();
            tracing::debug!(deployment = %deployment.name, status, "a provider's counter refused");
            return None;
        }
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(answer) => counted(&answer),
        Err(failure) => {
            tracing::debug!(deployment = %deployment.name, %failure, "a provider's counter did not answer");
            None
        }
    }
}

fn counted(answer: &[u8]) -> Option<u64> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    answer.input_tokens.or(answer.total_tokens).or(answer.count).filter(|tokens| *tokens > 0)
}

/// Where the counter of a mount is.
fn endpoint(deployment: &Deployment, mount: &Mount) -> Option<Endpoint> {
    let (end, counter) = match mount.dialect {
        Dialect::Messages => ("/messages", "/messages/count_tokens"),
        Dialect::Responses => ("/responses", "/responses/input_tokens"),
        Dialect::Gemini => (":generateContent", ":countTokens"),
        Dialect::Chat if &*deployment.provider == LOCAL_PROVIDER => ("/chat/completions", "/tokenize"),
        Dialect::Chat | Dialect::Converse => return None,
    };
    crate::sibling::sibling(&mount.endpoint, end, counter)
}

/// The body as the counter takes it: Anthropic's and OpenAI's refuse what only an answer needs.
fn body(dialect: Dialect, model: &str, body: Vec<u8>) -> Option<Bytes> {
    let kept: &[&str] = match dialect {
        Dialect::Messages => &[
            "model",
            "messages",
            "system",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "mcp_servers",
            "context_management",
            "cache_control",
        ],
        Dialect::Responses => &[
            "model",
            "input",
            "instructions",
            "tools",
            "tool_choice",
            "reasoning",
            "text",
            "truncation",
            "parallel_tool_calls",
        ],
        Dialect::Gemini => {
            let fields = splice::fields(&body).ok()?;
            let name = serde_json::to_vec(&format!("models/{model}")).ok()?;
            let inner = splice::apply(&body, &fields, &[Edit::Set("model", name)]);
            return Some(Bytes::from([br#"{"generateContentRequest":"#, &*inner, b"}"].concat()));
        }
        Dialect::Chat | Dialect::Converse => return Some(Bytes::from(body)),
    };
    let fields = splice::fields(&body).ok()?;
    let extra = fields.iter().filter(|field| !kept.contains(&field.name.as_str()));
    let edits: Vec<Edit<'_>> = extra.map(|field| Edit::Remove(&field.name)).collect();
    Some(Bytes::from(splice::apply(&body, &fields, &edits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_gets_only_what_it_takes() {
        let check = |dialect, sent: &str, taken: &str| {
            let body = body(dialect, "m", sent.as_bytes().to_vec()).unwrap();
            assert_eq!(std::str::from_utf8(&body).unwrap(), taken);
        };
        check(
            Dialect::Messages,
            r#"{"max_tokens":1,"model":"m","stream":true,"messages":[],"temperature":0}"#,
            r#"{"model":"m","messages":[]}"#,
        );
        check(
            Dialect::Responses,
            r#"{"model":"m","store":true,"input":"Hi"}"#,
            r#"{"model":"m","input":"Hi"}"#,
        );
        check(
            Dialect::Gemini,
            r#"{"contents":[]}"#,
            r#"{"generateContentRequest":{"model":"models/m","contents":[]}}"#,
        );
        check(Dialect::Chat, r#"{"model":"m","messages":[]}"#, r#"{"model":"m","messages":[]}"#);
    }

    #[test]
    fn every_counters_answer_is_understood_and_zero_is_none() {
        let check = |answer: &str, tokens| assert_eq!(counted(answer.as_bytes()), tokens, "{answer}");
        check(r#"{"input_tokens":7}"#, Some(7));
        check(r#"{"totalTokens":7,"promptTokensDetails":[]}"#, Some(7));
        check(r#"{"count":7,"max_model_len":2048}"#, Some(7));
        check(r#"{"input_tokens":0}"#, None);
        check(r#"{}"#, None);
        check("<html>", None);
    }
}

//! Streams: what is forwarded, what holds them together, and how they end.

use nova_testkit::{Gate, Script, ScriptedUpstream};
use serde_json::json;

use crate::harness::{TestGateway, after, hello_stream, provider, two_providers};

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"upstream-model\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

const USAGE: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"upstream-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn events() -> Vec<String> {
    vec![
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        chunk(r#"{"content":"He"}"#, "null"),
        chunk(r#"{"content":"llo"}"#, "null"),
        chunk("{}", r#""stop""#),
        USAGE.to_owned(),
        DONE.to_owned(),
    ]
}

fn script(events: &[String]) -> Script {
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    Script::sse(&events)
}

#[tokio::test]
async fn a_stream_of_the_same_dialect_is_forwarded_byte_for_byte_without_the_usage_that_nobody_asked_for() {
    let upstream = ScriptedUpstream::start([script(&events())]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/chat/completions", hello_stream()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let expected: String = events().iter().filter(|event| !event.contains("\"usage\"")).cloned().collect();
    assert_eq!(reply.text(), expected);
    assert_eq!(reply.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(reply.header("x-accel-buffering"), "no");
    assert_eq!(upstream.requests()[0].json()["stream_options"], json!({ "include_usage": true }));
    let record = gateway.record(reply.header("x-request-id")).await;
    assert_eq!((&record["usage"]["input"], &record["usage"]["output"]), (&json!(7), &json!(2)));
    assert_eq!(record["estimated"], false);
    assert!(record["first_token_us"].as_u64().unwrap() <= record["total_us"].as_u64().unwrap());
}

#[tokio::test]
async fn a_stream_byte_by_byte_is_the_same_stream() {
    let upstream = ScriptedUpstream::start([script(&events()).byte_by_byte()]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/chat/completions", hello_stream()).await;
    let expected: String = events().iter().filter(|event| !event.contains("\"usage\"")).cloned().collect();
    assert_eq!(reply.text(), expected);
}

#[tokio::test]
async fn a_messages_client_reads_a_chat_stream_as_messages() {
    let upstream = ScriptedUpstream::start([script(&events())]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/messages", hello_stream()).await;
    let names: Vec<&str> = reply.text_ref().lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| *name != "ping").collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ],
        "{}",
        reply.text()
    );
    assert!(reply.text().contains(r#""stop_reason":"end_turn""#));
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_with_an_error_event_and_never_cleanly() {
    let whole: String = events().concat();
    for (path, mark) in [("/v1/chat/completions", "data: {\"error\":"), ("/v1/messages", "event: error\n")] {
        // After the first content: the end of the connection, of the chunked body, and a reset.
        let content_at = whole.find("llo").unwrap();
        let cut = &whole[..content_at + 40];
        for ending in [
            Script::sse_head(&[]).chunk(cut).close(),
            Script::sse_head(&[]).chunk(cut).end_chunks(),
            Script::sse_head(&[]).chunk(cut).reset(),
        ] {
            let upstream = ScriptedUpstream::start([ending]).await;
            let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
            let reply = gateway.post(path, hello_stream()).await;
            assert_eq!(reply.status, 200);
            let text = reply.text();
            assert!(text.contains(mark), "{text}");
            assert!(!text.contains("[DONE]") && !text.contains("message_stop"), "{text}");
            let record = gateway.record(reply.header("x-request-id")).await;
            assert_eq!(record["outcome"], "cut");
            assert!(record["usage"]["output"].as_u64().unwrap() > 0, "what was delivered is counted");
        }
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_is_replaced_unseen() {
    let head = chunk(r#"{"role":"assistant","content":""}"#, "null");
    let error =
        "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\",\"code\":503}}\n\n";
    for broken in [
        Script::sse(&[&head, error]),
        Script::sse(&[&head]),
        Script::sse(&[]),
        Script::sse_head(&[]).chunk(&head).reset(),
        Script::json(200, &[], r#"{"error":{"message":"overloaded"}}"#),
    ] {
        let bad = ScriptedUpstream::answering(move |_| broken.clone()).await;
        let good = ScriptedUpstream::answering(|_| script(&events())).await;
        let gateway = TestGateway::start(&two_providers(&bad.url(), &good.url())).await;
        let reply = gateway.post("/v1/chat/completions", hello_stream()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("x-novastack-provider"), "second");
        assert_eq!(reply.text().matches("\"role\"").count(), 1, "one answer, not two: {}", reply.text());
        assert!(reply.text().ends_with(DONE));
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_with_nobody_else_is_a_plain_http_error() {
    let head = chunk(r#"{"role":"assistant","content":""}"#, "null");
    let upstream = ScriptedUpstream::answering(move |_| Script::sse(&[&head])).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/messages", hello_stream()).await;
    assert_eq!((reply.status, reply.header("x-novastack-error")), (502, "upstream_cut"));
    assert_eq!(reply.header("content-type"), "application/json");
}

#[tokio::test]
async fn one_event_that_cannot_be_read_is_skipped_and_counted() {
    let mut all = events();
    all.insert(2, "data: {\"choices\":[{\"delta\n\n".to_owned());
    let upstream = ScriptedUpstream::start([script(&all)]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/messages", hello_stream()).await;
    assert!(reply.text().contains("message_stop"), "{}", reply.text());
    let metrics = gateway.admin("GET", "/metrics", json!(null)).await;
    assert!(metrics.text().contains("novastack_bad_events_total 1"), "{}", metrics.text());
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_provider_and_is_counted_for_what_it_got() {
    let gate = Gate::new();
    let head: String = events()[..3].concat();
    let upstream =
        ScriptedUpstream::start([Script::sse_head(&[]).chunk(&head).wait_for(&gate).stall()]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let mut stream = gateway.open_stream("/v1/chat/completions", hello_stream()).await;
    let id = stream.header("x-request-id").to_owned();
    stream.read_until("llo").await;
    drop(stream);
    upstream.wait_for_departures(1).await;
    let record = gateway.record(&id).await;
    assert_eq!((&record["outcome"], &record["status"]), (&json!("client_gone"), &json!(499)));
    assert_eq!(record["estimated"], true);
    assert!(record["usage"]["output"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_client_that_leaves_before_anything_came_cancels_the_provider_too() {
    for body in [hello_stream(), crate::harness::hello()] {
        let upstream = ScriptedUpstream::start([Script::new().stall()]).await;
        let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
        let request = gateway.spawn("POST", "/v1/chat/completions", body, &[("x-api-key", &gateway.key)]);
        upstream.wait_for_requests(1).await;
        request.abort();
        upstream.wait_for_departures(1).await;
    }
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_before_and_after_its_first_content() {
    for (path, alive) in [("/v1/chat/completions", ": keep-alive\n\n"), ("/v1/messages", "event: ping\n")] {
        let (before, later) = (Gate::new(), Gate::new());
        let script = Script::sse_head(&[])
            .chunk(events()[..3].concat())
            .wait_for(&later)
            .chunk(events()[3..].concat())
            .end_chunks();
        let script = after(&before, script);
        let upstream = ScriptedUpstream::start([script]).await;
        let yaml = format!("{}timeouts:\n  keep_alive: 20ms\n", provider(&upstream.url(), "chat"));
        let gateway = TestGateway::start(&yaml).await;
        let mut stream = gateway.open_stream(path, hello_stream()).await;
        assert_eq!(stream.status, 200);
        stream.read_until(alive).await;
        before.open();
        stream.read_until("llo").await;
        stream.read_until(alive).await;
        later.open();
        let rest = stream.read_to_end().await;
        assert!(rest.contains("[DONE]") || rest.contains("message_stop"), "{rest}");
    }
}

#[tokio::test]
async fn attempts_that_all_fail_behind_a_kept_alive_stream_end_it_with_an_error_event() {
    let gate = Gate::new();
    let script = after(&gate, Script::json(400, &[], r#"{"error":{"message":"no such thing"}}"#));
    let upstream = ScriptedUpstream::answering(move |_| script.clone()).await;
    let yaml = format!("{}timeouts:\n  keep_alive: 20ms\n", provider(&upstream.url(), "chat"));
    let gateway = TestGateway::start(&yaml).await;
    let mut stream = gateway.open_stream("/v1/messages", hello_stream()).await;
    stream.read_until("event: ping").await;
    gate.open();
    let rest = stream.read_to_end().await;
    assert!(rest.contains("event: error") && rest.contains("no such thing"), "{rest}");
}

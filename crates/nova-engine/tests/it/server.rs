use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::client::Server;

fn hello() -> Value {
    json!({"messages": [{"role": "user", "content": "hello"}], "temperature": 0, "max_tokens": 12, "ignore_eos": true})
}

fn with(mut request: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

/// The documents of a stream, without the closing `[DONE]`, which must be there.
fn events(body: &str) -> Vec<Value> {
    let mut events: Vec<&str> =
        body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(events.pop(), Some("[DONE]"));
    events.into_iter().map(parse).collect()
}

#[tokio::test]
async fn a_whole_answer_has_openai_s_shape() {
    let server = Server::start().await;
    let (status, body) = server.chat(hello()).await;
    assert_eq!(status, 200, "{body}");
    let answer = parse(&body);
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "nova-local-mini");
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(answer["system_fingerprint"].as_str().unwrap().starts_with("nova-engine/"));
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    let usage = &answer["usage"];
    assert_eq!(usage["completion_tokens"], 12);
    assert_eq!(usage["total_tokens"].as_u64(), usage["prompt_tokens"].as_u64().map(|n| n + 12));
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let server = Server::start().await;
    let whole = parse(&server.chat(hello()).await.1);
    let request = with(hello(), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let (status, body) = server.chat(request).await;
    assert_eq!(status, 200);
    let events = events(&body);
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let text: String =
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(Value::from(text), whole["choices"][0]["message"]["content"]);
    let [.., last, usage] = events.as_slice() else { panic!("too few events: {body}") };
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &whole["usage"]));
    assert!(
        events.iter().all(|event| event["object"] == "chat.completion.chunk" && event["id"] == usage["id"])
    );
}

#[tokio::test]
async fn a_stream_without_the_option_carries_no_usage() {
    let server = Server::start().await;
    let (_, body) = server.chat(with(hello(), json!({"stream": true}))).await;
    assert!(events(&body).iter().all(|event| event.get("usage").is_none()));
}

#[tokio::test]
async fn many_requests_at_once_all_get_their_own_answer() {
    let server = std::sync::Arc::new(Server::start().await);
    let request =
        |i: usize| with(hello(), json!({"messages": [{"role": "user", "content": "the ".repeat(i + 1)}]}));
    let mut alone = Vec::new();
    for i in 0..6 {
        alone.push(parse(&server.chat(request(i)).await.1)["choices"].clone());
    }
    let tasks: Vec<_> = (0..24)
        .map(|i| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { (i % 6, server.chat(request(i % 6)).await.1) })
        })
        .collect();
    for task in tasks {
        let (i, body) = task.await.unwrap();
        assert_eq!(parse(&body)["choices"], alone[i]);
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_or_ask_too_much_are_refused() {
    let server = Server::start().await;
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]);
    let cases = [
        (json!({"model": "gpt-5"}), 404, "model", "model_not_found"),
        (json!({"messages": []}), 400, "messages", ""),
        (json!({"messages": [{"role": "king", "content": "x"}]}), 400, "messages", ""),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), 400, "messages", "unsupported_value"),
        (json!({"messages": image}), 400, "messages", "unsupported_value"),
        (
            json!({"messages": [{"role": "user", "content": "the ".repeat(4_000)}]}),
            400,
            "messages",
            "context_length_exceeded",
        ),
        (
            json!({"messages": [{"role": "user", "content": "a".repeat(1_100)}]}),
            400,
            "messages",
            "context_length_exceeded",
        ),
        (json!({"tools": [{"type": "function"}]}), 400, "tools", "unsupported_value"),
        (json!({"n": 2}), 400, "n", "unsupported_value"),
        (json!({"logprobs": true}), 400, "logprobs", "unsupported_value"),
        (json!({"response_format": {"type": "json_object"}}), 400, "response_format", "unsupported_value"),
        (json!({"temperature": -1}), 400, "temperature", ""),
        (json!({"top_p": 1.5}), 400, "top_p", ""),
        (json!({"max_tokens": 0}), 400, "max_tokens", ""),
        (json!({"stop": vec!["x"; 17]}), 400, "stop", ""),
        (json!({"messages": "hello"}), 400, "", ""),
    ];
    for (changes, status, param, code) in cases {
        let (got, body) = server.chat(with(hello(), changes)).await;
        let error = &parse(&body)["error"];
        let text = |key: &str| error[key].as_str().unwrap_or_default();
        assert_eq!((got, text("param"), text("code")), (status, param, code), "{body}");
        assert_eq!(text("type"), "invalid_request_error");
        assert!(!text("message").is_empty());
    }
    for (head, status) in [
        ("GET /v1/chat/completions HTTP/1.1", 405),
        ("POST /v1/embeddings HTTP/1.1", 404),
        ("POST /v1/chat/completions HTTP/1.1", 400),
    ] {
        let (got, body) = server.ask(head, "{").await;
        assert_eq!(got, status);
        assert!(parse(&body)["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn fields_that_do_not_matter_are_ignored() {
    let server = Server::start().await;
    let changes = json!({
        "user": "u", "metadata": {}, "tools": [], "tool_choice": "none", "n": 1, "response_format": {"type": "text"},
        "messages": [
            {"role": "developer", "content": "be brief", "name": "x"},
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            {"role": "assistant", "content": null},
            {"role": "user", "content": "again"},
        ],
    });
    let (status, body) = server.chat(with(hello(), changes)).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn a_seed_repeats_an_answer() {
    let server = Server::start().await;
    let ask = async |seed: i64| {
        let request = with(hello(), json!({"temperature": 1.5, "top_p": 1, "seed": seed}));
        parse(&server.chat(request).await.1)["choices"].clone()
    };
    assert_eq!(ask(-7).await, ask(-7).await);
    assert_ne!(ask(1).await, ask(2).await);
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_answer() {
    let server = Server::start().await;
    let request = with(hello(), json!({"model": "nova-local-mini", "stream": true, "max_tokens": 1000}));
    let mut stream = server.open("POST /v1/chat/completions HTTP/1.1", &request.to_string()).await;
    let mut first = [0; 64];
    stream.read_exact(&mut first).await.unwrap();
    drop(stream);
    // Each question takes a while, so this ends when the engine has noticed, and never if it does not.
    while !server.engine.metrics().contains("nova_engine_cancelled_total{model_name=\"nova-local-mini\"} 1") {
        server.get("/health").await;
    }
    assert!(
        server
            .get("/metrics")
            .await
            .1
            .contains("vllm:num_requests_running{model_name=\"nova-local-mini\"} 0")
    );
}

#[tokio::test]
async fn the_model_is_listed_and_healthy() {
    let server = Server::start().await;
    assert_eq!(server.get("/health").await, (200, "{\"status\":\"ready\"}".to_owned()));
    let models = parse(&server.get("/v1/models").await.1);
    assert_eq!(models["data"][0]["id"], "nova-local-mini");
    assert!(server.get("/metrics").await.1.contains("vllm:num_requests_waiting{"));
}

#[tokio::test]
async fn requests_wait_for_a_model_that_loads() {
    let write = |path: &std::path::Path| nova_engine::random_model(1, path).unwrap();
    let server = Server::start_with(None, write).await;
    let (status, body) = server.chat(hello()).await;
    assert_eq!(status, 200, "{body}");
    assert!(server.engine.is_ready());
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_said_so() {
    let cases: [(&str, Option<&[u8]>); 2] =
        [("cannot open", None), ("not a usable GGUF file", Some(b"hello"))];
    for (reason, content) in cases {
        let write = |path: &std::path::Path| {
            if let Some(content) = content {
                std::fs::write(path, content).unwrap();
            }
        };
        let server = Server::start_with(None, write).await;
        assert!(server.engine.ready().await.is_err());
        for (status, body) in [server.get("/health").await, server.chat(hello()).await] {
            assert_eq!(status, 503);
            assert!(body.contains(reason), "{body}");
        }
    }
}

#[tokio::test]
async fn a_token_guards_everything_but_health() {
    let write = |path: &std::path::Path| nova_engine::random_model(1, path).unwrap();
    let server = Server::start_with(Some("secret-1"), write).await;
    server.engine.ready().await.unwrap();
    assert_eq!(server.get("/health").await.0, 200);
    for (authorization, status) in [
        ("X: y", 401),
        ("Authorization: Bearer secret-2", 401),
        ("Authorization: Bearer secret-11", 401),
        ("Authorization: Basic secret-1", 401),
        ("Authorization: Bearer secret-1", 200),
        ("authorization: bearer secret-1", 200),
    ] {
        let (got, _) = server.ask(&format!("GET /v1/models HTTP/1.1\r\n{authorization}"), "").await;
        assert_eq!(got, status, "{authorization}");
    }
}

#[tokio::test]
async fn a_shutdown_finishes_what_was_taken_and_then_ends() {
    let mut server = Server::start().await;
    let request = with(hello(), json!({"model": "nova-local-mini", "stream": true, "max_tokens": 200}));
    let mut stream = server.open("POST /v1/chat/completions HTTP/1.1", &request.to_string()).await;
    let mut first = [0; 64];
    stream.read_exact(&mut first).await.unwrap();
    server.engine.shutdown();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("data: [DONE]"), "{rest}");
    (&mut server.task).await.unwrap().unwrap();
    server.engine.stopped().await;
    assert!(!server.engine.is_ready());
}

#[tokio::test]
async fn a_prompt_is_counted_as_its_answer_counts_it() {
    let server = Server::start().await;
    let counted = parse(&server.chat(hello()).await.1)["usage"]["prompt_tokens"].clone();
    let body = with(hello(), json!({"model": "nova-local-mini"})).to_string();
    let (status, body) =
        server.ask("POST /v1/tokenize HTTP/1.1\r\ncontent-type: application/json", &body).await;
    assert_eq!((status, &parse(&body)["count"]), (200, &counted), "{body}");
}

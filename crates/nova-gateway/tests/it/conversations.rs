//! Responses that go on with earlier ones, whatever provider answers.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{TestGateway, chat_reply, provider};

fn ask(input: Value, more: &Value) -> String {
    let mut body = json!({ "model": "test-model", "input": input });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

fn said(request: &nova_testkit::RecordedRequest) -> Vec<(String, String)> {
    let body = request.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    body["messages"].as_array().unwrap().iter().map(|it| (text(&it["role"]), text(&it["content"]))).collect()
}

fn turns(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn a_conversation_goes_on_at_a_provider_that_stores_nothing() {
    let replies = ["One.", "Two.", "Three."].map(|text| Script::json(200, &[], chat_reply(text)));
    let upstream = ScriptedUpstream::start(replies).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let first = gateway.post("/v1/responses", ask(json!("A?"), &json!({}))).await.json();
    let id = first["id"].as_str().unwrap();
    assert_eq!((&first["store"], &first["previous_response_id"]), (&json!(true), &Value::Null));
    let more = json!({ "previous_response_id": id });
    let second = gateway.post("/v1/responses", ask(json!("B?"), &more)).await.json();
    assert_eq!(second["previous_response_id"], id, "{second}");
    let items = json!([{ "role": "user", "content": "C?" }]);
    let more = json!({ "previous_response_id": second["id"], "store": false });
    let third = gateway.post("/router/v1/responses", ask(items, &more)).await;
    assert_eq!(third.status, 200, "{}", third.text());
    let requests = upstream.requests();
    let whole =
        [("user", "A?"), ("assistant", "One."), ("user", "B?"), ("assistant", "Two."), ("user", "C?")];
    assert_eq!(said(&requests[1]), turns(&whole[..3]));
    assert_eq!(said(&requests[2]), turns(&whole));

    let third = third.json();
    let reply = gateway.get(&format!("/v1/responses/{}", third["id"].as_str().unwrap())).await;
    assert_eq!(reply.status, 404, "it was asked not to be kept");
}

#[tokio::test]
async fn a_streamed_answer_is_kept_before_its_last_event_goes_out() {
    let event = |delta: Value, finish: Value| {
        let choice = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choice });
        format!("data: {chunk}\n\n")
    };
    let stream = [
        event(json!({ "role": "assistant", "content": "One." }), json!(null)),
        event(json!({}), json!("stop")),
    ];
    let done = "data: [DONE]\n\n";
    let script = Script::sse(&[stream[0].as_str(), stream[1].as_str(), done]);
    let upstream =
        ScriptedUpstream::start([script.clone(), Script::json(200, &[], chat_reply("Two.")), script]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let stream = gateway.open_stream("/v1/responses", ask(json!("A?"), &json!({ "stream": true }))).await;
    let text = stream.read_to_end().await;
    let last = text.lines().rfind(|line| line.starts_with("data: ")).unwrap();
    let last: Value = serde_json::from_str(&last[6..]).unwrap();
    assert_eq!(last["type"], "response.completed", "{text}");
    let more = json!({ "previous_response_id": last["response"]["id"] });
    let reply = gateway.post("/v1/responses", ask(json!("B?"), &more)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        said(&upstream.requests()[1]),
        turns(&[("user", "A?"), ("assistant", "One."), ("user", "B?")])
    );
    let more = json!({ "previous_response_id": reply.json()["id"], "stream": true });
    let stream = gateway.open_stream("/v1/responses", ask(json!("C?"), &more)).await;
    let said = format!("\"previous_response_id\":{}", reply.json()["id"]);
    let text = stream.read_to_end().await;
    assert_eq!(text.matches(&said).count(), 3, "created, in progress, completed: {text}");
}

/// An id as OpenAI gives it.
const FIRST: &str = "resp_68af0c1de5a88193b6a2c4f0aa11bb22";

/// An answer of a provider that speaks Responses itself.
fn native(id: &str) -> Value {
    let text = json!([{ "type": "output_text", "text": "One.", "annotations": [] }]);
    let output = json!([
        { "type": "reasoning", "id": "rs_1", "summary": [] },
        { "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": text },
    ]);
    let usage = json!({ "input_tokens": 5, "output_tokens": 2, "total_tokens": 7 });
    json!({
        "id": id, "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": output,
        "usage": usage, "store": false,
    })
}

#[tokio::test]
async fn a_provider_that_gives_an_id_twice_loses_no_conversation() {
    let event = |kind: &str, response: Value| {
        format!("event: {kind}\ndata: {}\n\n", json!({ "type": kind, "response": response }))
    };
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"delta\":\"One.\"}\n\n";
    let stream = [
        event("response.created", json!({ "id": "resp_7", "status": "in_progress", "output": [] })),
        delta.to_owned(),
        event("response.completed", native("resp_7")),
    ];
    let upstream = ScriptedUpstream::start([
        Script::json(200, &[], native("resp_7").to_string()),
        Script::sse(&stream.each_ref().map(String::as_str)),
        Script::json(200, &[], native("resp_7").to_string()),
        Script::json(200, &[], native("resp_7").to_string()),
    ])
    .await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "responses")).await;
    let one = gateway.post("/v1/responses", ask(json!("A?"), &json!({}))).await.json()["id"].clone();
    let asked = ask(json!("Other?"), &json!({ "stream": true }));
    let other = gateway.open_stream("/v1/responses", asked).await.read_to_end().await;
    assert!(!other.contains("resp_7"), "{other}");
    let said: Vec<&str> = other.split("\"id\":\"resp_").skip(1).map(|rest| &rest[..32]).collect();
    assert_eq!((said.len(), said[0]), (2, said[1]), "{other}");
    let other = format!("resp_{}", said[0]);
    let said_before = async |previous: &str| {
        let reply = gateway
            .post("/v1/responses", ask(json!("Go on"), &json!({ "previous_response_id": previous })))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        upstream.requests().pop().unwrap().json()["input"][0]["content"][0]["text"].clone()
    };
    assert_eq!(said_before(one.as_str().unwrap()).await, "A?");
    assert_eq!(said_before(&other).await, "Other?");
}

#[tokio::test]
async fn a_provider_of_the_same_dialect_is_sent_the_whole_history() {
    let answers = [FIRST, "resp_second"].map(|id| Script::json(200, &[], native(id).to_string()));
    let upstream = ScriptedUpstream::start(answers).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "responses")).await;
    let first = gateway.post("/v1/responses", ask(json!("A?"), &json!({}))).await;
    assert_eq!((first.status, &first.json()["store"]), (200, &json!(true)), "{}", first.text());
    assert_eq!(first.json()["id"], FIRST);
    let second =
        gateway.post("/v1/responses", ask(json!("B?"), &json!({ "previous_response_id": FIRST }))).await;
    assert_eq!(second.status, 200, "{}", second.text());
    assert_eq!(upstream.requests()[0].json().get("store"), None, "what needs no history goes out as it came");
    let sent = upstream.requests()[1].json();
    assert_eq!((&sent["store"], sent.get("previous_response_id")), (&json!(false), None));
    let kinds: Vec<&str> =
        sent["input"].as_array().unwrap().iter().map(|item| item["role"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user", "assistant", "user"], "a thought that nobody can read is left out: {sent}");
    assert_eq!(sent["input"][1].get("id"), None);
}

#[tokio::test]
async fn kept_answers_are_shown_and_forgotten_for_their_own_key_alone() {
    let replies = ["One.", "Two."].map(|text| Script::json(200, &[], chat_reply(text)));
    let upstream = ScriptedUpstream::start(replies).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let first = gateway.post("/v1/responses", ask(json!("A?"), &json!({}))).await.json();
    let more = json!({ "previous_response_id": first["id"] });
    let second = gateway.post("/v1/responses", ask(json!("B?"), &more)).await.json();
    let path = format!("/v1/responses/{}", second["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.json(), second);
    let all = gateway.get(&format!("{path}/input_items?order=asc")).await.json();
    assert_eq!((all["data"].as_array().unwrap().len(), &all["has_more"]), (3, &json!(false)), "{all}");
    assert_eq!(all["data"][0]["content"][0], json!({ "type": "input_text", "text": "A?" }));
    let newest = gateway.get(&format!("{path}/input_items?limit=2")).await.json();
    assert_eq!(
        (&newest["data"][0]["content"][0]["text"], &newest["has_more"]),
        (&json!("B?"), &json!(true)),
        "{newest}"
    );
    let after = newest["last_id"].as_str().unwrap();
    let rest = gateway.get(&format!("{path}/input_items?limit=2&after={after}")).await.json();
    assert_eq!((&rest["data"][0], &rest["has_more"]), (&all["data"][0], &json!(false)));
    assert_eq!(gateway.get(&format!("{path}/input_items?limit=0")).await.status, 400);
    assert_eq!(gateway.post(&format!("{path}/cancel"), "").await.status, 400);

    let created = gateway.admin("POST", "/admin/v1/keys", json!({ "name": "other" })).await;
    let other = created.json()["key"].as_str().unwrap().to_owned();
    let theirs = [("x-api-key", other.as_str())];
    for (method, path) in
        [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/input_items"))]
    {
        assert_eq!(gateway.send(method, &path, "", &theirs).await.status, 404, "{method} {path}");
    }
    let body = ask(json!("C?"), &json!({ "previous_response_id": second["id"] }));
    let reply = gateway.send("POST", "/v1/responses", body.clone(), &theirs).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("previous_response_not_found")));

    let ours = [("x-api-key", gateway.key.as_str())];
    let deleted = gateway.send("DELETE", &path, "", &ours).await.json();
    assert_eq!((&deleted["deleted"], &deleted["id"]), (&json!(true), &second["id"]));
    assert_eq!(gateway.send("DELETE", &path, "", &ours).await.status, 404);
    assert_eq!(gateway.post("/v1/responses", body).await.status, 400);
    assert_eq!(upstream.requests().len(), 2, "nothing is sent without its history");
}

#[tokio::test]
async fn where_nothing_is_kept_a_reference_is_refused() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("One."))).await;
    let yaml = format!("{}responses: {{ store: false }}\n", provider(&upstream.url(), "chat"));
    let gateway = TestGateway::start(&yaml).await;
    let first = gateway.post("/v1/responses", ask(json!("A?"), &json!({ "store": true }))).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let id = first.json()["id"].clone();
    let reply = gateway.post("/v1/responses", ask(json!("B?"), &json!({ "previous_response_id": id }))).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("store_disabled")));
    assert_eq!(reply.json()["error"]["param"], "previous_response_id");
    let reply = gateway.get(&format!("/v1/responses/{}", id.as_str().unwrap())).await;
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("responses.store"), "{}", reply.text());
    let reply = gateway.post("/v1/responses", ask(json!("B?"), &json!({ "previous_response_id": 7 }))).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn a_key_may_have_none_of_its_conversations_kept() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("One."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let new = json!({ "name": "private", "limits": { "store_prompts": false } });
    let created = gateway.admin("POST", "/admin/v1/keys", new).await;
    let key = created.json()["key"].as_str().unwrap().to_owned();
    let private = [("x-api-key", key.as_str())];
    let asked = ask(json!("A?"), &json!({ "store": true }));
    let first = gateway.send("POST", "/v1/responses", asked, &private).await.json();
    let next = ask(json!("B?"), &json!({ "previous_response_id": first["id"] }));
    let reply = gateway.send("POST", "/v1/responses", next, &private).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("store_disabled")));
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    assert_eq!(gateway.send("GET", &path, "", &private).await.status, 404);
}

#[tokio::test]
async fn a_reference_to_an_item_is_replaced_by_the_item() {
    let replies = ["One.", "Two."].map(|text| Script::json(200, &[], chat_reply(text)));
    let upstream = ScriptedUpstream::start(replies).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let first = gateway.post("/v1/responses", ask(json!("A?"), &json!({}))).await.json();
    let reference = json!({ "type": "item_reference", "id": first["output"][0]["id"] });
    let items = json!([{ "role": "user", "content": "A?" }, reference, { "role": "user", "content": "B?" }]);
    let reply = gateway.post("/v1/responses", ask(items, &json!({}))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        said(&upstream.requests()[1]),
        turns(&[("user", "A?"), ("assistant", "One."), ("user", "B?")])
    );
    let unknown = json!([{ "type": "item_reference", "id": "msg_unknown" }]);
    assert_eq!(gateway.post("/v1/responses", ask(unknown, &json!({}))).await.status, 400);
}

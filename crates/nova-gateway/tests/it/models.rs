//! What can be asked for, in every reader's shape.

use nova_testkit::ScriptedUpstream;
use serde_json::{Value, json};

use crate::harness::{TestGateway, provider};

async fn gateway() -> (TestGateway, ScriptedUpstream) {
    let upstream = ScriptedUpstream::start([]).await;
    let mut models = String::new();
    for name in ["model-b", "model-c", "model-d", "model-e"] {
        models.push_str(&format!("  {name}:\n    offers: [{{ provider: scripted, model: {name} }}]\n"));
    }
    let yaml = provider(&upstream.url(), "chat").replace("credentials:", &format!("{models}credentials:"));
    (TestGateway::start(&yaml).await, upstream)
}

fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn one_body_serves_the_readers_of_openai_openrouter_and_codex() {
    let (gateway, _upstream) = gateway().await;
    for path in ["/v1/models", "/router/v1/models", "/v1/models?client_version=0.169.0"] {
        let body = gateway.get(path).await.json();
        let find = |list: &str, id: &str| {
            let rows = body[list].as_array().unwrap();
            rows.iter().find(|row| row[id] == "test-model").cloned().unwrap()
        };
        let model = find("data", "id");
        assert_eq!((&model["object"], &model["owned_by"]), (&json!("model"), &json!("scripted")));
        assert_eq!(model["pricing"]["prompt"], "0.000001");
        assert_eq!(model["architecture"]["input_modalities"], json!(["text", "image"]));
        for name in ["canonical_slug", "created", "context_length", "top_provider", "supported_parameters"] {
            assert!(!model[name].is_null(), "{name}");
        }
        let model = find("models", "slug");
        assert_eq!((&model["visibility"], &model["context_window"]), (&json!("list"), &json!(8192)));
        for name in ["display_name", "shell_type", "base_instructions", "truncation_policy", "priority"] {
            assert!(!model[name].is_null(), "{name}");
        }
    }
}

#[tokio::test]
async fn anthropics_list_is_cut_into_pages() {
    let (gateway, _upstream) = gateway().await;
    let list = async |query: &str| {
        let reply =
            gateway.get_with(&format!("/v1/models{query}"), &[("anthropic-version", "2023-06-01")]).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        reply.json()
    };
    let all = list("?limit=1000").await;
    let names = ids(&all["data"]);
    assert_eq!((names.len(), &all["has_more"]), (10, &json!(false)));
    assert_eq!(all["data"][0]["type"], "model");
    assert_eq!(
        all["data"][0]["capabilities"]["image_input"]["supported"].as_bool(),
        Some(names[0] == "test-model")
    );
    let check = async |query: &str, shown: &[&str], more: bool| {
        let page = list(query).await;
        assert_eq!((ids(&page["data"]).as_slice(), &page["has_more"]), (shown, &json!(more)), "{query}");
        assert_eq!(page["first_id"].as_str(), shown.first().copied(), "{query}");
        assert_eq!(page["last_id"].as_str(), shown.last().copied(), "{query}");
    };
    check("?limit=2", &names[..2], true).await;
    check(&format!("?limit=2&after_id={}", names[1]), &names[2..4], true).await;
    check(&format!("?limit=6&after_id={}", names[3]), &names[4..], false).await;
    check(&format!("?after_id={}", names[9]), &[], false).await;
    check(&format!("?limit=2&before_id={}", names[3]), &names[1..3], true).await;
    check(&format!("?limit=5&before_id={}", names[3]), &names[..3], false).await;
    for query in ["limit=0", "limit=1001", "limit=x", "after_id=nothing"] {
        let headers = [("anthropic-version", "2023-06-01")];
        let reply = gateway.get_with(&format!("/v1/models?{query}"), &headers).await;
        assert_eq!((reply.status, &reply.json()["type"]), (400, &json!("error")), "{query}");
    }
}

#[tokio::test]
async fn geminis_list_is_cut_into_pages_and_takes_the_key_in_the_query() {
    let (gateway, _upstream) = gateway().await;
    let names = |body: &Value| -> Vec<String> {
        let rows = body["models"].as_array().unwrap();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    let path = format!("/v1beta/models?key={}", gateway.key);
    let all = gateway.send("GET", &path, "", &[]).await.json();
    assert_eq!((names(&all).len(), all.get("nextPageToken")), (10, None));
    assert_eq!(all["models"][0]["supportedGenerationMethods"], json!(["generateContent", "countTokens"]));
    let first = gateway.get("/v1beta/models?pageSize=6").await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    let second = gateway.get(&format!("/v1beta/models?pageSize=6&pageToken={token}")).await.json();
    assert_eq!([names(&first), names(&second)].concat(), names(&all));
    let same = gateway.get_with("/v1/models", &[("x-goog-api-client", "google-genai-sdk/2")]).await.json();
    assert_eq!(same, all);
    assert_eq!(gateway.send("GET", "/v1beta/models", "", &[]).await.status, 401);
}

#[tokio::test]
async fn one_model_is_shown_by_any_of_its_names_in_the_callers_shape() {
    let (gateway, _upstream) = gateway().await;
    let reply = gateway.get("/router/v1/models/TEST-MODEL").await;
    assert_eq!((&reply.json()["id"], &reply.json()["object"]), (&json!("test-model"), &json!("model")));
    let reply = gateway.get("/v1beta/models/test-model").await;
    assert_eq!(reply.json()["name"], "models/test-model");
    let reply = gateway.get_with("/v1/models/test-model", &[("anthropic-version", "2023-06-01")]).await;
    assert_eq!(reply.json()["type"], "model");
    let reply = gateway.get("/v1/models/nothing").await;
    assert_eq!((reply.status, reply.header("x-novastack-error")), (404, "model_not_found"));
}

#[tokio::test]
async fn names_that_leave_the_choice_to_the_gateway_are_listed_behind_the_models() {
    let (gateway, upstream) = gateway().await;
    let body = gateway.get("/v1/models").await.json();
    let autos = ["auto", "auto:cheap", "auto:fast", "auto:throughput", "auto:best"];
    assert_eq!(ids(&body["data"])[5..], autos);
    let auto = &body["data"][5];
    assert_eq!((&auto["owned_by"], &auto["pricing"]["prompt"]), (&json!("novastack"), &json!("-1")));
    assert_eq!((&auto["context_length"], &auto["max_output_tokens"]), (&json!(8192), &json!(1024)));
    assert_eq!(
        auto["architecture"]["input_modalities"],
        json!(["text", "image"]),
        "one of the models reads them"
    );
    let slugs: Vec<&str> =
        body["models"].as_array().unwrap().iter().map(|model| model["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs[5..], autos);
    assert_eq!(gateway.get("/v1/models/AUTO").await.json()["id"], "auto");
    let gemini = gateway.get("/v1beta/models").await.json();
    assert_eq!(gemini["models"][5]["name"], "models/auto");

    // A key for one model may let the gateway choose among that one.
    let new = json!({ "name": "narrow", "models": ["model-b"] });
    let created = gateway.admin("POST", "/admin/v1/keys", new).await.json();
    let headers = [("x-api-key", created["key"].as_str().unwrap())];
    let narrow = gateway.send("GET", "/v1/models", "", &headers).await.json();
    assert_eq!(ids(&narrow["data"]), [&["model-b"][..], &autos].concat());

    // Where the operator gave the name to a model it stands for that one.
    let yaml = provider(&upstream.url(), "chat") + "default_model: test-model\n";
    gateway.reload(&yaml).unwrap();
    let body = gateway.get("/v1/models").await.json();
    assert_eq!(body["data"][1]["pricing"], body["data"][0]["pricing"]);
    let narrow = gateway.send("GET", "/v1/models", "", &headers).await.json();
    assert_eq!(narrow["data"], json!([]), "nothing is left that this key may use");
    // A budget for requests makes its mode a name, too.
    gateway.reload(&(yaml + "routing: { budget_per_request: 0.01 }\n")).unwrap();
    let body = gateway.get("/v1/models").await.json();
    assert_eq!(ids(&body["data"]).last(), Some(&"auto:budget"));
}

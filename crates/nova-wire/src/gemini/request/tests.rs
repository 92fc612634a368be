use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{read, write};
use crate::dialect::Dialect;
use crate::gemini::support::target;
use crate::hub::past::Past;
use crate::hub::request::{
    Format, Mark, Part, Request, Role, Source, Thinking, Tool, ToolCall, ToolChoice, Turn,
};
use crate::peek::Peek;
use crate::quirks::{Images, JsonSchemaSupport, Quirks, ReplayThinking, ThinkingSwitch, ToolChoiceForm};
use crate::translate::{self, Target};

fn text(text: &str) -> Part {
    Part::Text { text: text.to_owned(), cache: None }
}

fn user(parts: Vec<Part>) -> Turn {
    Turn::new(Role::User, parts)
}

fn model(parts: Vec<Part>) -> Turn {
    Turn::new(Role::Assistant, parts)
}

fn asking() -> Request {
    Request { turns: vec![user(vec![text("hi")])], ..Request::default() }
}

fn tool(name: &str) -> Tool {
    Tool { name: name.to_owned(), ..Tool::default() }
}

fn call(id: &str, signature: Option<&str>) -> Part {
    let mark = Mark { signature: signature.map(str::to_owned), ..Mark::default() };
    Part::ToolCall(ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments: "{}".to_owned(), mark })
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult { id: id.to_owned(), parts, is_error: false, cache: None }
}

fn written(request: &Request, quirks: &Quirks) -> (Value, Vec<String>) {
    let mut dropped = Vec::new();
    let body = write(request, &target(quirks), &mut dropped).expect("a request that can be written");
    (serde_json::from_slice(&body).expect("JSON"), dropped)
}

/// Checks the values at places such as `/generationConfig/topK` (`null`: not there) and what was dropped.
#[track_caller]
fn check(request: &Request, quirks: &Quirks, expected: &[(&str, Value)], dropped: &[&str]) {
    let (body, lost) = written(request, quirks);
    for (place, value) in expected {
        let found = body.pointer(place).cloned().unwrap_or(Value::Null);
        assert_eq!(found, *value, "`{place}` of {body:#}");
    }
    assert_eq!(lost, dropped, "{body:#}");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let check = |body: Value, path: &str, code: &str| {
        let error = read(body.to_string().as_bytes()).expect_err(path);
        assert_eq!((error.path.as_str(), error.code), (path, code), "{body}: {error}");
    };
    let parts =
        |part: Value| json!({"contents": [{"parts": [{"text": "a"}]}, {"role": "user", "parts": [part]}]});
    check(json!([]), "", "invalid_type");
    check(json!({}), "contents", "missing_field");
    check(json!({"contents": 3}), "contents[0]", "invalid_type");
    check(json!({"contents": [{"role": "robot"}]}), "contents[0].role", "invalid_value");
    check(parts(json!({"text": 3})), "contents[1].parts[0].text", "invalid_type");
    check(parts(json!({"functionCall": {}})), "contents[1].parts[0].functionCall.name", "missing_field");
    check(
        parts(json!({"function_call": {"name": "f", "args": "x"}})),
        "contents[1].parts[0].function_call.args",
        "invalid_type",
    );
    check(
        parts(json!({"inlineData": {"mimeType": "a/b"}})),
        "contents[1].parts[0].inlineData.data",
        "missing_field",
    );
    check(
        parts(json!({"fileData": {"fileUri": ""}})),
        "contents[1].parts[0].fileData.fileUri",
        "invalid_type",
    );
    let with = |field: &str, value: Value| {
        let mut body = json!({"contents": [{}]});
        body[field] = value;
        body
    };
    check(
        with("systemInstruction", json!({"parts": [{"text": 1}]})),
        "systemInstruction.parts[0].text",
        "invalid_type",
    );
    check(
        with("tools", json!([{"functionDeclarations": [{"name": "f"}, {}]}])),
        "tools[0].functionDeclarations[1].name",
        "missing_field",
    );
    check(
        with("toolConfig", json!({"functionCallingConfig": {"mode": "SOME"}})),
        "toolConfig.functionCallingConfig.mode",
        "invalid_value",
    );
    check(with("generationConfig", json!({"topK": -1})), "generationConfig.topK", "invalid_value");
    check(
        with("generationConfig", json!({"stopSequences": ["a", 1]})),
        "generationConfig.stopSequences[1]",
        "invalid_type",
    );
    check(
        with("generation_config", json!({"candidate_count": 2})),
        "generation_config.candidateCount",
        "unsupported",
    );
    check(
        with("generationConfig", json!({"thinkingConfig": {"thinkingBudget": "much"}})),
        "generationConfig.thinkingConfig.thinkingBudget",
        "invalid_type",
    );
    let error = read(b"{\"contents\":").expect_err("half a body");
    assert_eq!(error.code, "invalid_json");
}

#[test]
fn a_conversation_has_the_same_ids_each_time_that_it_is_sent() {
    let turn = |n: usize| {
        let call = json!({"functionCall": {"name": "f", "args": {"n": n}}});
        [
            json!({"role": "model", "parts": [call, call]}),
            json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}},
                {"functionResponse": {"name": "f", "response": {}}}]}),
        ]
    };
    let body = |turns: usize| {
        let contents: Vec<Value> =
            std::iter::once(json!({"parts": [{"text": "go"}]})).chain((0..turns).flat_map(turn)).collect();
        read(json!({ "contents": contents }).to_string().as_bytes()).expect("a request")
    };
    let (short, long) = (body(1), body(2));
    assert_eq!(short.turns, long.turns[..3]);
    let mut ids: Vec<&str> = Vec::new();
    for part in long.turns.iter().flat_map(|turn| &turn.parts) {
        match part {
            Part::ToolCall(call) => ids.push(&call.id),
            Part::ToolResult { id, .. } => {
                assert_eq!(ids.iter().filter(|known| *known == id).count(), 1, "{id} answers one call");
            }
            _ => {}
        }
    }
    assert_eq!(ids, ["call_1_0", "call_1_1", "call_3_0", "call_3_1"]);
}

#[test]
fn thinking_is_asked_for_in_the_form_of_the_generation() {
    let effort = |word: &str| Thinking::Adaptive { effort: Some(word.to_owned()) };
    let switch = |switch| Quirks { thinking_switch: Some(switch), ..Quirks::default() };
    let (own, none) = (Quirks::default(), switch(ThinkingSwitch::None));
    let (budget, level) = (switch(ThinkingSwitch::Budget), switch(ThinkingSwitch::Level));
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let flash = Quirks { efforts: words(&["minimal", "low", "medium", "high"]), ..level.clone() };
    let pro = Quirks { efforts: words(&["low", "high"]), ..level.clone() };
    let always = Quirks { efforts: words(&["low", "medium", "high"]), ..budget.clone() };
    let shown = |field: &str, value: Value| json!({"includeThoughts": true, field: value});
    for (thinking, quirks, expected, dropped) in [
        (Thinking::Unsaid, &level, json!(null), &[][..]),
        (Thinking::Budget(3000), &own, shown("thinkingBudget", json!(3000)), &[]),
        (effort("high"), &own, shown("thinkingLevel", json!("HIGH")), &[]),
        (Thinking::Adaptive { effort: None }, &own, shown("thinkingBudget", json!(-1)), &[]),
        (Thinking::Adaptive { effort: None }, &level, json!({"includeThoughts": true}), &[]),
        (Thinking::Off, &own, json!({"thinkingBudget": 0}), &[]),
        (effort("none"), &budget, json!({"thinkingBudget": 0}), &[]),
        (Thinking::Off, &always, json!(null), &["thinking"]),
        (Thinking::Off, &flash, json!({"thinkingLevel": "MINIMAL"}), &[]),
        (Thinking::Off, &pro, json!({"thinkingLevel": "LOW"}), &["thinking"]),
        (Thinking::Budget(100), &level, shown("thinkingLevel", json!("LOW")), &[]),
        (Thinking::Budget(31_999), &pro, shown("thinkingLevel", json!("HIGH")), &[]),
        (effort("xhigh"), &flash, shown("thinkingLevel", json!("HIGH")), &[]),
        (effort("medium"), &pro, shown("thinkingLevel", json!("LOW")), &[]),
        (effort("medium"), &budget, shown("thinkingBudget", json!(8192)), &[]),
        (effort("max"), &budget, shown("thinkingBudget", json!(24_576)), &[]),
        (Thinking::Budget(31_999), &budget, shown("thinkingBudget", json!(24_576)), &[]),
        (Thinking::Budget(1), &budget, shown("thinkingBudget", json!(512)), &[]),
        (effort("low"), &none, json!(null), &["thinking"]),
        (Thinking::Off, &none, json!(null), &[]),
    ] {
        let request = Request { thinking, ..asking() };
        check(&request, quirks, &[("/generationConfig/thinkingConfig", expected)], dropped);
    }
    // The budget is a part of the answer's bound.
    for (bound, thinking, expected, dropped) in [
        (2000, Thinking::Budget(9000), json!(1999), &[][..]),
        (4000, effort("high"), json!(2000), &[]),
        (600, effort("high"), json!(null), &["thinking"]),
    ] {
        let request = Request { thinking, max_tokens: Some(bound), ..asking() };
        check(&request, &budget, &[("/generationConfig/thinkingConfig/thinkingBudget", expected)], dropped);
    }
}

#[test]
fn the_choice_of_tools_is_said_in_googles_words() {
    let quirks = Quirks::default();
    let auto = Quirks { tool_choice: Some(vec![ToolChoiceForm::Auto]), ..Quirks::default() };
    let strict = Quirks {
        no_forced_tool_when_thinking: Some(true),
        thinking_default_on: Some(true),
        ..Quirks::default()
    };
    let named = || ToolChoice::Named("f".to_owned());
    for (choice, quirks, expected, dropped) in [
        (ToolChoice::Auto, &quirks, json!({"mode": "AUTO"}), &[][..]),
        (ToolChoice::None, &quirks, json!({"mode": "NONE"}), &[]),
        (ToolChoice::Required, &quirks, json!({"mode": "ANY"}), &[]),
        (named(), &quirks, json!({"mode": "ANY", "allowedFunctionNames": ["f"]}), &[]),
        (named(), &auto, json!({"mode": "AUTO"}), &["tool_choice"]),
        (ToolChoice::Required, &strict, json!({"mode": "AUTO"}), &["tool_choice"]),
    ] {
        let request = Request { tools: vec![tool("f")], tool_choice: Some(choice), ..asking() };
        check(&request, quirks, &[("/toolConfig/functionCallingConfig", expected)], dropped);
    }
    let alone = Request { tool_choice: Some(ToolChoice::Required), ..asking() };
    check(&alone, &quirks, &[("/toolConfig", Value::Null), ("/tools", Value::Null)], &["tool_choice"]);
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    let foreign = Tool { foreign: Some(search), ..tool("web_search") };
    let request = Request { tools: vec![foreign, tool("f")], parallel_tools: Some(false), ..asking() };
    check(
        &request,
        &quirks,
        &[("/tools/0/functionDeclarations/0/name", json!("f")), ("/tools/1", Value::Null)],
        &["tools.web_search", "parallel_tool_calls"],
    );
}

#[test]
fn the_form_of_the_answer_goes_down_the_ladder() {
    let schema = json!({"type": "object", "properties": {"a": {"const": "x"}}});
    let wanted = Format::JsonSchema { name: "n".to_owned(), schema, strict: None };
    let quirks = |json_schema| Quirks { json_schema: Some(json_schema), ..Quirks::default() };
    let (kind, form, hint) = (
        "/generationConfig/responseMimeType",
        "/generationConfig/responseJsonSchema",
        "/systemInstruction/parts/0/text",
    );
    let request = Request { format: wanted, ..asking() };
    let mended = json!({"type": "object", "properties": {"a": {"enum": ["x"]}}});
    let json = json!("application/json");
    check(&request, &Quirks::default(), &[(kind, json.clone()), (form, mended), (hint, Value::Null)], &[]);
    let said = "Answer with JSON that meets this JSON schema, and with nothing else:\n\
        {\"type\":\"object\",\"properties\":{\"a\":{\"const\":\"x\"}}}";
    let lesser = quirks(JsonSchemaSupport::JsonObject);
    check(&request, &lesser, &[(kind, json), (form, Value::Null), (hint, json!(said))], &["response_format"]);
    let prompt = quirks(JsonSchemaSupport::Prompt);
    check(&request, &prompt, &[(kind, Value::Null), (hint, json!(said))], &["response_format"]);
    let beside = Request { tools: vec![tool("f")], ..request };
    let old = Quirks { schema_beside_tools: Some(false), ..Quirks::default() };
    check(&beside, &old, &[(kind, Value::Null), (hint, json!(said))], &["response_format"]);
}

#[test]
fn calls_without_a_signature_get_the_stand_in() {
    let quirks = Quirks { call_signature: Some("stand-in".to_owned()), ..Quirks::default() };
    let signed = |signatures: [Option<&str>; 2], quirks: &Quirks| {
        let calls = vec![call("1", signatures[0]), call("2", signatures[1])];
        let results = vec![result("2", vec![]), result("1", vec![])];
        let request =
            Request { turns: vec![user(vec![text("go")]), model(calls), user(results)], ..asking() };
        let (body, _) = written(&request, quirks);
        [0, 1].map(|at| body["contents"][1]["parts"][at]["thoughtSignature"].as_str().map(str::to_owned))
    };
    let some = |word: &str| Some(word.to_owned());
    assert_eq!(
        signed([None, None], &quirks),
        [some("stand-in"), None],
        "of calls at once the first is signed"
    );
    assert_eq!(signed([Some("a"), None], &quirks), [some("a"), None]);
    assert_eq!(signed([None, Some("b")], &quirks), [some("stand-in"), some("b")]);
    assert_eq!(signed([None, None], &Quirks::default()), [None, None]);
}

#[test]
fn thoughts_go_back_with_their_signature() {
    let replay = |replay| Quirks { replay_thinking: Some(replay), ..Quirks::default() };
    let thought = |signature: Option<&str>| Part::Thinking {
        text: "hm".to_owned(),
        signature: signature.map(str::to_owned),
    };
    let whole = json!({"text": "hm", "thought": true, "thoughtSignature": "s"});
    for (part, quirks, expected, dropped) in [
        (thought(Some("s")), Quirks::default(), whole, &[][..]),
        (thought(None), Quirks::default(), json!({"text": "b"}), &["reasoning_content"]),
        (thought(None), replay(ReplayThinking::Accepted), json!({"text": "hm", "thought": true}), &[]),
        (thought(Some("s")), replay(ReplayThinking::Forbidden), json!({"text": "b"}), &["reasoning_content"]),
        (
            Part::RedactedThinking { data: "x".to_owned() },
            Quirks::default(),
            json!({"text": "b"}),
            &["redacted_thinking"],
        ),
    ] {
        let turns = vec![user(vec![text("a")]), model(vec![part, text("b")])];
        check(&Request { turns, ..asking() }, &quirks, &[("/contents/1/parts/0", expected)], dropped);
    }
}

/// The body that a target of a dialect gets from a client of another, at the provider `gemini`.
fn sent(client: Dialect, body: &Value, to: Dialect) -> (Value, Vec<String>) {
    let body = body.to_string().into_bytes();
    let peek = Peek::read(client, &body).expect("a body");
    let quirks = Quirks::default();
    let target = Target { dialect: to, model: "m", quirks: &quirks, max_output: None };
    let past = Past { provider: "gemini", recall: None };
    let out = translate::request_after(client, &body, &peek, &target, &past).expect("a request");
    (serde_json::from_slice(&out.body).expect("JSON"), out.dropped)
}

#[test]
fn a_signature_goes_to_the_provider_that_made_it_and_to_no_other() {
    // As google-genai for Python has it: base64 of the tag.
    let own = STANDARD.encode("ns1.gemini.c2ln");
    let other = STANDARD.encode("ns1.deepseek.c2ln");
    let signed = |signature: &str| {
        json!({"contents": [{"parts": [{"text": "go"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": signature}]}]})
    };
    for (carried, to, expected) in [
        (own.as_str(), Dialect::Gemini, json!("c2ln")),
        (&other, Dialect::Gemini, Value::Null),
        // It came past the hub, from Google itself.
        ("c2ln", Dialect::Gemini, json!("c2ln")),
    ] {
        let (body, _) = sent(Dialect::Gemini, &signed(carried), to);
        let found = body["contents"][1]["parts"][0].get("thoughtSignature").cloned().unwrap_or_default();
        assert_eq!(found, expected, "{carried}");
    }
    for to in [Dialect::Chat, Dialect::Messages, Dialect::Responses] {
        let (body, _) = sent(Dialect::Gemini, &signed(&own), to);
        assert!(!body.to_string().contains("ns1."), "{body}");
    }
}

#[test]
fn what_chat_and_gemini_both_know_is_carried() {
    let (body, dropped) = sent(
        Dialect::Gemini,
        &json!({"contents": [{"parts": [{"text": "a"}]}],
            "generation_config": {"seed": 7, "presence_penalty": 0.5, "frequencyPenalty": 0.25, "logprobs": 2}}),
        Dialect::Chat,
    );
    let found = ["seed", "presence_penalty", "frequency_penalty"].map(|field| body[field].clone());
    assert_eq!(found, [json!(7), json!(0.5), json!(0.25)]);
    assert_eq!(dropped, ["generationConfig.logprobs"]);
    let (body, dropped) = sent(
        Dialect::Chat,
        &json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "seed": 7, "presence_penalty": 0.5,
            "frequency_penalty": 0.25, "logit_bias": {"1": 2}}),
        Dialect::Gemini,
    );
    let config = json!({"seed": 7, "presencePenalty": 0.5, "frequencyPenalty": 0.25});
    assert_eq!((&body["generationConfig"], dropped), (&config, vec!["logit_bias".to_owned()]));
    let (_, dropped) = sent(
        Dialect::Gemini,
        &json!({"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {"seed": 7}}),
        Dialect::Messages,
    );
    assert_eq!(dropped, ["generationConfig.seed"]);
}

#[test]
fn what_the_model_cannot_read_is_refused_with_its_place() {
    let (png, url) = (
        Source::Base64 { media_type: "image/png".to_owned(), data: "AA".to_owned() },
        Source::Url("https://example.org/a".to_owned()),
    );
    let image = |source: Source| Part::Image { source, detail: None, cache: None };
    let document = |source: Source| Part::Document { source, name: None, cache: None };
    let blind = Quirks { images: Some(Images::None), documents: Some(false), ..Quirks::default() };
    let near = Quirks { images: Some(Images::Data), ..Quirks::default() };
    let file = |name: &str| Source::File(name.to_owned());
    for (part, quirks, refused) in [
        (image(png.clone()), &Quirks::default(), false),
        (image(png.clone()), &blind, true),
        (document(png), &blind, true),
        (image(url.clone()), &Quirks::default(), false),
        (image(url), &near, true),
        (document(file("file-abc")), &Quirks::default(), true),
        (document(file("files/abc")), &Quirks::default(), false),
        (document(file("gs://bucket/a")), &near, false),
    ] {
        let request = Request { turns: vec![user(vec![text("a"), part])], ..Request::default() };
        let outcome = write(&request, &target(quirks), &mut Vec::new());
        let place = outcome.err().map(|error| (error.path, error.code));
        assert_eq!(place, refused.then(|| ("messages[0].content[1]".to_owned(), "unsupported")));
    }
}

#[test]
fn fields_of_strange_names_go_nowhere_deep() {
    let deep = format!("generationConfig{}", ".a".repeat(100_000));
    let body = json!({"contents": [{"parts": [{"text": "a"}]}], deep.as_str(): 1, "x.y": 2, "z": 3});
    let request = read(body.to_string().as_bytes()).expect("a request");
    let (body, dropped) = written(&request, &Quirks::default());
    assert_eq!((&body["z"], dropped), (&json!(3), vec!["x.y".to_owned()]));
    let inner = body["generationConfig"]["a"].as_object().expect("an object");
    assert!(inner.values().all(Value::is_number));
}

fn any_text() -> impl Strategy<Value = String> {
    "[a-zé字\"\\\\{}]{1,6}"
}

fn any_source() -> impl Strategy<Value = Source> {
    prop_oneof![
        "[A-Z]{4}".prop_map(|data| Source::Base64 { media_type: "image/png".to_owned(), data }),
        "[a-z]{3}".prop_map(|name| Source::Url(format!("https://example.org/{name}.png"))),
        "[a-z]{3}".prop_map(|name| Source::File(format!("gs://bucket/{name}.png"))),
    ]
}

fn any_said() -> impl Strategy<Value = Part> {
    let document = |data| Source::Base64 { media_type: "application/pdf".to_owned(), data };
    let sound = |data: String| Part::Foreign {
        kind: "input_audio".to_owned(),
        value: json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}),
    };
    prop_oneof![
        any_text().prop_map(|words| text(&words)),
        any_source().prop_map(|source| Part::Image { source, detail: None, cache: None }),
        ("[A-Z]{4}", proptest::option::of("[a-z]{3}")).prop_map(move |(data, name)| Part::Document {
            source: document(data),
            name,
            cache: None
        }),
        "[A-Z]{4}".prop_map(sound),
    ]
}

/// What a tool said; whole objects as Google writes them are among it.
fn any_result() -> impl Strategy<Value = (Vec<Part>, bool)> {
    let words = prop_oneof![
        any_text(),
        (0u8..9, any_text()).prop_map(|(n, name)| json!({"n": n, name: [true]}).to_string()),
        Just("{}".to_owned()),
        Just(r#"{"output":"x"}"#.to_owned()),
        Just("{\"a\": 1}".to_owned()),
    ];
    prop_oneof![
        (words, any::<bool>()).prop_map(|(words, failed)| (vec![text(&words)], failed)),
        Just((vec![], false))
    ]
}

/// The model's turn with its calls, and the user's with a result for each.
fn any_exchange() -> impl Strategy<Value = Vec<Turn>> {
    let thought = (any_text(), "[a-z]{4}");
    let calls = proptest::collection::vec((any_result(), proptest::option::of("[a-z]{4}")), 0..3);
    (
        proptest::option::of(thought),
        proptest::option::of(any_text()),
        calls,
        proptest::collection::vec(any_said(), 1..3),
    )
        .prop_map(|(thought, words, calls, said)| {
            let mut answer: Vec<Part> = thought
                .map(|(text, signature)| Part::Thinking { text, signature: Some(signature) })
                .into_iter()
                .chain(words.map(|words| text(&words)))
                .collect();
            let mut results = Vec::new();
            for ((parts, is_error), signature) in calls {
                answer.push(call("", signature.as_deref()));
                results.push(Part::ToolResult { id: String::new(), parts, is_error, cache: None });
            }
            if answer.is_empty() {
                answer.push(text("well"));
            }
            results.extend(said);
            vec![model(answer), user(results)]
        })
}

fn any_turns() -> impl Strategy<Value = Vec<Turn>> {
    let system = proptest::option::of(proptest::collection::vec(any_text(), 1..3));
    let said = proptest::collection::vec(any_said(), 1..3);
    (system, said, proptest::collection::vec(any_exchange(), 0..3)).prop_map(|(system, said, exchanges)| {
        let system =
            system.map(|words| Turn::new(Role::System, words.iter().map(|words| text(words)).collect()));
        let mut turns: Vec<Turn> = system.into_iter().chain([user(said)]).collect();
        turns.extend(exchanges.into_iter().flatten());
        // Each call has an id of its own, and its result names it.
        let (mut calls, mut results) = (0, 0);
        for part in turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            let (id, count) = match part {
                Part::ToolCall(call) => (&mut call.id, &mut calls),
                Part::ToolResult { id, .. } => (id, &mut results),
                _ => continue,
            };
            *id = format!("id{count}");
            *count += 1;
        }
        turns
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    let thinking = prop_oneof![
        Just(Thinking::Unsaid),
        Just(Thinking::Off),
        Just(Thinking::Adaptive { effort: None }),
        Just(Thinking::Adaptive { effort: Some("high".to_owned()) }),
        (512u64..24_576).prop_map(Thinking::Budget),
    ];
    let schema =
        json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]});
    let form = Format::JsonSchema { name: "answer".to_owned(), schema: schema.clone(), strict: None };
    let format = prop_oneof![Just(Format::Text), Just(Format::JsonObject), Just(form)];
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        Just(ToolChoice::Named("f".to_owned())),
    ];
    let tools = (proptest::option::of(choice), any::<bool>()).prop_map(move |(tool_choice, own)| {
        let function =
            Tool { parameters: Some(schema.clone()), description: Some("d".to_owned()), ..tool("f") };
        let search = Tool { foreign: Some(json!({"googleSearch": {}})), ..tool("googleSearch") };
        (std::iter::once(function).chain(own.then_some(search)).collect::<Vec<_>>(), tool_choice)
    });
    let sampling = (
        proptest::option::of(60_000u64..90_000),
        proptest::option::of((0u8..8).prop_map(|n| f64::from(n) / 4.0)),
        proptest::option::of(1u64..50),
        proptest::collection::vec("[a-z]{1,3}", 0..5),
    );
    (any_turns(), thinking, format, proptest::option::of(tools), sampling).prop_map(
        |(turns, thinking, format, tools, (max_tokens, temperature, top_k, stop))| {
            let (tools, tool_choice) = tools.unwrap_or_default();
            let extra =
                json!({"safetySettings": [], "generationConfig.seed": 7, "toolConfig.retrievalConfig": {}});
            Request {
                turns,
                tools,
                tool_choice,
                max_tokens,
                temperature,
                top_p: temperature.map(|it| it / 2.0),
                top_k,
                stop,
                thinking,
                format,
                include_usage: true,
                extra: extra.as_object().cloned().unwrap_or_default(),
                ..Request::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn a_request_that_is_written_is_read_as_it_was(request in any_request()) {
        let mut dropped = Vec::new();
        let body = write(&request, &target(&Quirks::default()), &mut dropped).expect("a body");
        prop_assert_eq!(dropped, Vec::<String>::new());
        prop_assert_eq!(read(&body).expect("a request"), request);
    }
}

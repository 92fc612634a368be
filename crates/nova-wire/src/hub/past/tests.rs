use super::*;
use crate::hub::reply::Finish;
use crate::hub::request::Mark;

fn thinking(text: &str, signature: Option<&str>) -> Part {
    Part::Thinking { text: text.into(), signature: signature.map(Into::into) }
}

fn call(id: &str, signature: Option<&str>) -> Part {
    let mark = Mark { signature: signature.map(Into::into), ..Mark::default() };
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into(), mark })
}

fn kept(provider: &str, parts: Vec<Part>, signature: Option<&str>) -> Arc<Thought> {
    Arc::new(Thought {
        provider: provider.into(),
        parts,
        calls: vec![("a".into(), signature.map(Into::into))],
    })
}

fn restored(parts: Vec<Part>, provider: &str, native: bool, thought: Option<Arc<Thought>>) -> Vec<Part> {
    let turn = Turn::new(Role::Assistant, parts);
    let mut request = Request { turns: vec![turn], ..Request::default() };
    let recall = |id: &str| thought.clone().filter(|_| id == "a");
    restore(&mut request, &Past { provider, recall: Some(&recall) }, native);
    request.turns.remove(0).parts
}

#[test]
fn a_signature_goes_only_to_the_provider_that_made_it() {
    let check = |signature: &str, provider: &str, native: bool, expected: Option<&str>| {
        let parts = restored(vec![thinking("t", Some(signature))], provider, native, None);
        assert_eq!(parts, [thinking("t", expected)], "{signature} to {provider}");
        let parts = restored(vec![call("x", Some(signature))], provider, native, None);
        assert_eq!(parts, [call("x", expected)], "{signature} to {provider}");
        let data = Part::RedactedThinking { data: signature.into() };
        let redacted = expected.map(|data| Part::RedactedThinking { data: data.into() });
        assert_eq!(restored(vec![data], provider, native, None), Vec::from_iter(redacted));
    };
    check(&tag("anthropic", "sig"), "anthropic", false, Some("sig"));
    check(&tag("anthropic", "sig.with.dots"), "anthropic", true, Some("sig.with.dots"));
    check(&tag("anthropic", "sig"), "gemini", true, None);
    check(&tag("my.own/provider", "sig"), "my.own/provider", false, Some("sig"));
    check(&tag("deepseek", ""), "deepseek", true, None);
    check("sig", "anthropic", true, Some("sig"));
    check("sig", "anthropic", false, None);
    check("ns1.broken", "broken", true, None);
}

#[test]
fn thinking_that_a_client_dropped_comes_back() {
    let signed = kept("p", vec![thinking("why", Some("s"))], Some("c"));
    let check = |parts: Vec<Part>, provider: &str, thought: &Arc<Thought>, expected: Vec<Part>| {
        assert_eq!(restored(parts, provider, true, Some(Arc::clone(thought))), expected);
    };
    // To the same provider whole, to another one as plain words.
    check(vec![call("a", None)], "p", &signed, vec![thinking("why", Some("s")), call("a", Some("c"))]);
    check(vec![call("a", None)], "q", &signed, vec![thinking("why", None), call("a", None)]);
    // Thinking that lost its signature gets it back; what is whole stays.
    check(
        vec![thinking("why", None), call("a", None)],
        "p",
        &signed,
        vec![thinking("why", Some("s")), call("a", Some("c"))],
    );
    check(
        vec![thinking("mine", Some("z")), call("a", None)],
        "p",
        &signed,
        vec![thinking("mine", Some("z")), call("a", Some("c"))],
    );
    check(
        vec![thinking("mine", None), call("a", None)],
        "q",
        &signed,
        vec![thinking("mine", None), call("a", None)],
    );
    check(vec![call("b", None)], "p", &signed, vec![call("b", None)]);
    let secret = kept("p", vec![Part::RedactedThinking { data: "d".into() }], None);
    check(vec![call("a", None)], "q", &secret, vec![call("a", None)]);
}

#[test]
fn a_stream_is_tagged_and_its_thought_kept() {
    let start = Delta::ToolStart {
        index: 0,
        id: "a".into(),
        name: "f".into(),
        mark: Mark { signature: Some("c".into()), ..Mark::default() },
    };
    let mut keeper = Keeper::new(&"p".into(), true);
    let mut deltas = vec![
        Delta::Thinking("w".into()),
        Delta::Thinking("hy".into()),
        Delta::Text("x".into()),
        Delta::Thinking("z".into()),
        Delta::Signature("s".into()),
        start,
    ];
    keeper.deltas(&mut deltas);
    assert_eq!(deltas[2], Delta::Signature("ns1.p.".into()), "unsigned thinking gets a bare tag");
    assert_eq!(deltas[5], Delta::Signature("ns1.p.s".into()));
    let Delta::ToolStart { mark, .. } = &deltas[6] else { panic!("a call") };
    assert_eq!(mark.signature.as_deref(), Some("ns1.p.c"));
    assert_eq!(keeper.take(), None, "the answer is not complete");
    keeper.deltas(&mut vec![Delta::Finish(Finish::ToolCalls)]);
    let thought = keeper.take().expect("a thought");
    assert_eq!(thought.parts, [thinking("why", None), thinking("z", Some("s"))]);
    assert_eq!(thought.calls, [("a".to_owned(), Some("c".to_owned()))]);
}

#[test]
fn what_nobody_needs_or_is_too_long_is_not_kept() {
    let take = |mut deltas: Vec<Delta>| {
        let mut keeper = Keeper::new(&"p".into(), false);
        keeper.deltas(&mut deltas);
        assert!(!deltas.iter().any(|delta| matches!(delta, Delta::Signature(_))), "chat marks nothing");
        keeper.take()
    };
    let start = || Delta::ToolStart { index: 0, id: "a".into(), name: "f".into(), mark: Mark::default() };
    let end = || Delta::Finish(Finish::ToolCalls);
    assert_eq!(take(vec![Delta::Thinking("t".into()), end()]), None);
    assert_eq!(take(vec![start(), end()]), None);
    let mut long = vec![Delta::Thinking("x".repeat(1000)); LONGEST / 1000 + 1];
    long.extend([start(), end()]);
    assert_eq!(take(long), None);
    assert!(take(vec![Delta::Thinking("t".into()), start(), end()]).is_some());
}

//! A body that is accepted is JSON for everybody, and its model stands where the peek says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_wire::Peek;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Some((client, _, body)) = nova_fuzz::dialects(input) else { return };
    let Ok(peek) = Peek::read(client, body) else { return };
    let json: Value = serde_json::from_slice(body).expect("what is accepted is JSON");
    assert_eq!(json["model"].as_str(), Some(peek.model.as_str()));
    let span: Value = serde_json::from_slice(&body[peek.model_span]).expect("the span holds a JSON value");
    assert_eq!(span.as_str(), Some(peek.model.as_str()));
});

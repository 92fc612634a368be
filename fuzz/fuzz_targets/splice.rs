//! Setting one field of an object leaves every other field, in value and in bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_wire::splice::{Edit, apply, fields};
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let Ok(places) = fields(body) else { return };
    let before: Value = serde_json::from_slice(body).expect("what is accepted is JSON");
    let out = apply(body, &places, &[Edit::Set("model", b"\"set\"".to_vec())]);
    let mut after: Value = serde_json::from_slice(&out).expect("a splice keeps JSON whole");
    assert_eq!(after["model"], "set");
    if let (Some(before), Some(after)) = (before.as_object(), after.as_object_mut()) {
        after.remove("model");
        let mut before = before.clone();
        before.remove("model");
        assert_eq!(&before, after);
    }
    for place in places.iter().filter(|place| place.name != "model") {
        let value = &body[place.value.clone()];
        assert!(out.windows(value.len()).any(|part| part == value), "the bytes of `{}` changed", place.name);
    }
});

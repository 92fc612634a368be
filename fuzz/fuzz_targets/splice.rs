//! Setting one field of an object leaves every other field as it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_wire::splice::{Edit, apply, fields};

fuzz_target!(|body: &[u8]| {
    let Ok(places) = fields(body) else { return };
    let before = nova_fuzz::object(body);
    let out = apply(body, &places, &[Edit::Set("model", b"\"set\"".to_vec())]);
    let mut after = nova_fuzz::object(&out);
    assert_eq!(after.remove("model").expect("the field is set").get(), "\"set\"");
    let others: Vec<_> =
        before.iter().filter(|(name, _)| *name != "model").map(|(_, value)| value.get()).collect();
    let kept: Vec<_> = after.values().map(|value| value.get()).collect();
    assert_eq!(others, kept);
});

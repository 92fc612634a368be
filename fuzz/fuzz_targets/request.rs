//! Whatever is accepted from a client goes upstream as JSON that asks for the target's model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_wire::{Peek, Quirks, Target, translate};

fuzz_target!(|input: &[u8]| {
    let Some((client, upstream, body)) = nova_fuzz::dialects(input) else { return };
    let Ok(peek) = Peek::read(client, body) else { return };
    let quirks = Quirks::default();
    let target =
        Target { dialect: upstream, model: "target-model", quirks: &quirks, max_output: Some(4_096) };
    let Ok(outbound) = translate::request(client, body, &peek, &target) else { return };
    assert_eq!(nova_fuzz::object(&outbound.body)["model"].get(), "\"target-model\"");
});

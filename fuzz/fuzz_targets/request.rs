//! Whatever is accepted from a client goes upstream as JSON that asks for the target's model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_wire::{Dialect, Peek, Quirks, Target, translate};

fuzz_target!(|input: &[u8]| {
    let Some((client, upstream, body)) = nova_fuzz::dialects(input) else { return };
    let Ok(peek) = Peek::read(client, body) else { return };
    let quirks = Quirks::default();
    let target =
        Target { dialect: upstream, model: "target-model", quirks: &quirks, max_output: Some(4_096) };
    let Ok(outbound) = translate::request(client, body, &peek, &target) else { return };
    let sent = nova_fuzz::object(&outbound.body);
    // The others name the model in their path.
    if !matches!(upstream, Dialect::Gemini | Dialect::Converse) {
        assert_eq!(sent["model"].get(), "\"target-model\"");
    }
});

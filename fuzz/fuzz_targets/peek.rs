//! A body that is accepted is JSON for everybody, and its model stands where the peek says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_wire::{Dialect, Peek};

fuzz_target!(|input: &[u8]| {
    let Some((client, _, body)) = nova_fuzz::dialects(input) else { return };
    let Ok(peek) = Peek::read(client, body) else { return };
    let fields = nova_fuzz::object(body);
    if client == Dialect::Gemini {
        // The path names the model.
        return;
    }
    let written = &body[peek.model_span];
    assert_eq!(fields["model"].get().as_bytes(), written);
    assert_eq!(serde_json::from_slice::<String>(written).expect("the model is a text"), peek.model);
});

//! Every failure of a provider has a class and a short message, and can be shown in every dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_wire::{Dialect, ErrorView, error};

fuzz_target!(|input: (u16, &str, &[u8])| {
    let (status, retry_after, message) = input;
    let Some((client, upstream, body)) = nova_fuzz::dialects(message) else { return };
    let status = 400 + status % 200;
    let header = |name: &str| (name == "retry-after").then_some(retry_after);
    let failure = error::classify(upstream, status, header, body);
    assert!(failure.message.len() <= 2_048, "the provider's words are bounded");
    let view = ErrorView {
        status,
        openai_type: "api_error",
        openai_code: failure.code.as_deref(),
        anthropic_type: "api_error",
        message: &failure.message,
        param: None,
        request_id: "req_0",
    };
    let _ = nova_fuzz::object(&error::body(client, &view));
    let event = error::event(client, &view);
    // A Gemini client gets the same twice, the second time as bare JSON.
    assert!(event.ends_with(b"\n\n") || client == Dialect::Gemini, "an error event is a whole event");
});

//! Whatever a provider answers, the client gets JSON or an error, and counts that make sense.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_wire::translate;

fuzz_target!(|input: &[u8]| {
    let Some((client, upstream, body)) = nova_fuzz::dialects(input) else { return };
    let Ok(reply) = translate::reply(&nova_fuzz::context(client, upstream), body) else { return };
    let _ = nova_fuzz::object(&reply.body);
    if let Some(usage) = reply.meter.usage {
        assert!(usage.reasoning <= usage.output, "reasoning is a part of the output");
    }
});

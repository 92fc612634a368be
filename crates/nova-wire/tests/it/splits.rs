//! However a stream is cut into pieces, and whatever stands in it, the client gets the same.

use nova_wire::{Dialect, ErrorClass, Quirks, ReplyContext};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::grammar::said;
use crate::support::{DIALECTS, context, relay};

/// Events of a chat stream, good and bad.
fn any_event() -> impl Strategy<Value = String> {
    let chunk = |choice: &str| format!("data: {{\"model\":\"m\",\"choices\":[{choice}]}}\n\n");
    let delta = |delta: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
    prop_oneof![
        Just(chunk(r#"{"index":0,"delta":{"role":"assistant","content":""}}"#)),
        "[a-zé字]{1,3}".prop_map(move |text| delta(&format!(r#"{{"content":"{text}"}}"#))),
        "[a-z]{1,3}".prop_map(move |text| delta(&format!(r#"{{"reasoning_content":"{text}"}}"#))),
        (0u8..3).prop_map(move |index| delta(&format!(
            r#"{{"tool_calls":[{{"index":{index},"id":"c{index}","function":{{"name":"f","arguments":""}}}}]}}"#
        ))),
        (0u8..3).prop_map(move |index| delta(&format!(
            r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":"{{}}"}}}}]}}"#
        ))),
        Just(": keep-alive\r\n\r\n".to_owned()),
        Just("data: {\"choices\":[{\n\n".to_owned()),
        Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\r\r".to_owned()),
    ]
}

fn any_stream() -> impl Strategy<Value = (String, bool)> {
    (proptest::collection::vec(any_event(), 0..12), any::<bool>()).prop_map(|(events, ends)| {
        let end =
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        (format!("{}{}", events.concat(), if ends { end } else { "" }), ends)
    })
}

/// Chunks of a Gemini stream, good and bad.
fn any_chunk() -> impl Strategy<Value = String> {
    let chunk = |parts: &str| {
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{parts}]}}}}],\
            \"usageMetadata\":{{\"promptTokenCount\":3,\"candidatesTokenCount\":4}}}}\r\n\r\n"
        )
    };
    prop_oneof![
        Just(chunk("")),
        "[a-zé字]{1,3}".prop_map(move |text| chunk(&format!(r#"{{"text":"{text}"}}"#))),
        "[a-z]{1,3}".prop_map(move |text| chunk(&format!(
            r#"{{"text":"{text}","thought":true,"thoughtSignature":"c2ln"}}"#
        ))),
        (0u8..3).prop_map(move |n| chunk(&format!(
            r#"{{"functionCall":{{"name":"f","args":{{"n":{n}}}}},"thoughtSignature":"c2ln"}}"#
        ))),
        Just(chunk(r#"{"functionCall":{"name":"g","willContinue":true}}"#)),
        Just(chunk(r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"x"}]}}"#)),
        Just("\r\n".to_owned()),
        Just("data: {\"candidates\":[{\r\n\r\n".to_owned()),
        Just("data: {\"usageMetadata\":{\"trafficType\":\"ON_DEMAND\"}}\r\n\r\n".to_owned()),
    ]
}

fn any_gemini_stream() -> impl Strategy<Value = (String, bool)> {
    (proptest::collection::vec(any_chunk(), 0..12), any::<bool>()).prop_map(|(chunks, ends)| {
        let end = "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n";
        (format!("{}{}", chunks.concat(), if ends { end } else { "" }), ends)
    })
}

/// A stream of this dialect gives every client the same, through the hub and past it, however it is cut; `ends`
/// says whether it is whole.
fn same_however_split(
    upstream: Dialect,
    stream: &str,
    ends: bool,
    sizes: &[usize],
) -> Result<(), TestCaseError> {
    let ways = DIALECTS.map(|client| (client, true));
    for (client, hub) in ways.into_iter().chain([(upstream, false)]) {
        let ctx = ReplyContext { hub, ..context(client, upstream, &Quirks::default()) };
        let whole = relay(ctx.clone(), stream.as_bytes(), &[usize::MAX]);
        let split = relay(ctx, stream.as_bytes(), sizes);
        prop_assert_eq!(&split, &whole);
        prop_assert_eq!(whole.error.map(|error| error.class), (!ends).then_some(ErrorClass::Cut));
        if ends && hub {
            said(client, &whole.text, "a stream that was made up");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_to_every_client(
        (stream, ends) in any_stream(),
        sizes in proptest::collection::vec(1usize..40, 1..6),
    ) {
        same_however_split(Dialect::Chat, &stream, ends, &sizes)?;
    }

    #[test]
    fn any_split_of_a_gemini_stream_gives_the_same_to_every_client(
        (stream, ends) in any_gemini_stream(),
        sizes in proptest::collection::vec(1usize..40, 1..6),
    ) {
        same_however_split(Dialect::Gemini, &stream, ends, &sizes)?;
    }

    #[test]
    fn any_bytes_at_all_are_survived(
        stream in proptest::collection::vec(any::<u8>(), 0..200),
        text in "(data: |event: error|\n|\\{|\\}|\"|choices|:|\\[|\\]|type|message_start|candidates|contents|,|null|1){0,40}",
        sizes in proptest::collection::vec(1usize..40, 1..6),
    ) {
        for stream in [&stream[..], text.as_bytes()] {
            for upstream in DIALECTS {
                for client in DIALECTS {
                    let ctx = context(client, upstream, &Quirks::default());
                    let whole = relay(ctx.clone(), stream, &[usize::MAX]);
                    prop_assert!(whole.error.is_some(), "nothing of this is a whole answer");
                    prop_assert_eq!(relay(ctx, stream, &sizes), whole);
                }
            }
        }
    }
}

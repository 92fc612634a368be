//! Gemini `generateContent`: request, reply and stream, to and from the hub.
//!
//! Reading takes both spellings that Google takes (`functionCall` and `function_call`), and what its own
//! servers were seen to leave out: parts, ids of calls, the last chunk's finish. Writing keeps to what
//! Google's SDKs in Python and JavaScript and Gemini CLI read.
//!
//! Three things are this dialect's own. Calls have ids only sometimes, so missing ones are made from the
//! call's place, the same ones each time. Arguments and results are objects, not text. And a call may
//! carry a signature that has to come back with it ([`crate::hub::request::Mark::signature`]).
//!
//! Reading order: [`request`], [`reply`], then [`stream`] (reader, writer, observer). `fields` takes
//! objects apart, `schema` brings JSON schemas into Google's form and back, `counts` does so for tokens;
//! what several of these modules share stands here.
//!
//! Sources: Google's API reference (`GenerateContentRequest`, `GenerateContentResponse`, `Schema`,
//! "Thought signatures", "Function calling"), google-genai for Python and JavaScript, recorded answers.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Map, Value, json};

use crate::error::{ErrorClass, UpstreamError};
use crate::hub::past;
use crate::hub::reply::Finish;

mod counts;
mod fields;
pub mod reply;
pub mod request;
mod schema;
pub mod stream;
#[cfg(test)]
mod support;

/// What a `finishReason` means. `None` where it says nothing.
///
/// An answer that the provider calls malformed, or ended for a reason that it does not tell, is a fault
/// of the provider and no answer; it may be asked again.
pub(crate) fn finish(reason: &str) -> Option<Finish> {
    Some(match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::Filter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE"
        | "NO_IMAGE"
        | "IMAGE_OTHER"
        | "OTHER" => Finish::Failed(reason.to_owned()),
        // `STOP`, and whatever comes next: the provider says that it is over.
        _ => Finish::Stop,
    })
}

/// The `finishReason` that a finish is. Gemini says `STOP` to calls as well.
pub(crate) const fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Unsaid | Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Pause => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filter => "SAFETY",
        // A failure is reported as an error before it comes here.
        Finish::Failed(_) => "OTHER",
    }
}

/// The failure that a `finishReason` such as `MALFORMED_FUNCTION_CALL` is; `why` is its `finishMessage`.
fn broken(reason: &str, why: Option<&str>) -> UpstreamError {
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    UpstreamError {
        class: ErrorClass::Server,
        status: 200,
        message: format!("the provider ended the answer with `{reason}`{why}"),
        code: Some(reason.to_owned()),
        retry_after_ms: None,
    }
}

/// An answer that is no answer.
fn garbage(message: &str) -> UpstreamError {
    UpstreamError {
        class: ErrorClass::Garbage,
        status: 200,
        message: message.to_owned(),
        code: None,
        retry_after_ms: None,
    }
}

/// A text field that is there and not empty.
fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// An object, from the text that a model wrote: models write nothing for no arguments, and one that was
/// cut off may have written half of them.
fn object(json: &str) -> Map<String, Value> {
    if json.trim().is_empty() {
        return Map::new();
    }
    let value = match serde_json::from_str(json) {
        Ok(Value::Object(fields)) => return fields,
        Ok(Value::Null) => return Map::new(),
        Ok(other) => other,
        Err(_) => json!(json),
    };
    Map::from_iter([("value".to_owned(), value)])
}

/// Both alphabets of base64, padded or not: Google's SDK for Python writes the second.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const FOR_URLS: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A signature as a client of this dialect can carry it. The field holds bytes, so Google's SDK for
/// Python refuses what is no base64; our tag on another provider's signature is none.
fn armoured(signature: &str) -> String {
    let plain = PLAIN.decode(signature).is_ok() || FOR_URLS.decode(signature).is_ok();
    if plain && !is_tag(signature.as_bytes()) { signature.to_owned() } else { STANDARD.encode(signature) }
}

/// The signature that a client carries, out of its armour where it has one.
fn unarmoured(signature: String) -> String {
    let decoded = PLAIN.decode(&signature).or_else(|_| FOR_URLS.decode(&signature)).unwrap_or_default();
    match String::from_utf8(decoded) {
        Ok(text) if is_tag(text.as_bytes()) => text,
        _ => signature,
    }
}

fn is_tag(signature: &[u8]) -> bool {
    signature.starts_with(past::MARK.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finish_reason_has_a_meaning() {
        for (reason, expected) in [
            ("STOP", Some(Finish::Stop)),
            ("MAX_TOKENS", Some(Finish::Length)),
            ("SAFETY", Some(Finish::Filter)),
            ("MODEL_ARMOR", Some(Finish::Filter)),
            ("", None),
            ("FINISH_REASON_UNSPECIFIED", None),
            ("MALFORMED_FUNCTION_CALL", Some(Finish::Failed("MALFORMED_FUNCTION_CALL".to_owned()))),
            ("A_WORD_OF_TOMORROW", Some(Finish::Stop)),
        ] {
            assert_eq!(finish(reason), expected, "{reason}");
        }
        for finish in [Finish::Stop, Finish::Length, Finish::Filter] {
            assert_eq!(super::finish(finish_reason(&finish)), Some(finish));
        }
    }

    #[test]
    fn signatures_survive_clients_that_only_hold_base64() {
        for (signature, carried) in [
            ("c2ln", "c2ln"),
            ("skip_thought_signature_validator", "skip_thought_signature_validator"),
            ("ns1.gemini.c2ln", "bnMxLmdlbWluaS5jMmxu"),
            ("not base64!", "bm90IGJhc2U2NCE="),
        ] {
            assert_eq!(armoured(signature), carried);
        }
        assert_eq!(unarmoured(armoured("ns1.gemini.c2ln")), "ns1.gemini.c2ln");
        let for_urls = STANDARD.encode("ns1.p.??>>").replace('+', "-").replace('/', "_");
        assert_eq!(unarmoured(for_urls), "ns1.p.??>>");
        assert_eq!(unarmoured("c2ln".to_owned()), "c2ln");
    }
}

//! Items of a conversation, as raw JSON where nothing has to change.

use nova_wire::BadRequest;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A request's `input` as an array of items: a text is one message of the user.
pub(super) fn own(input: Option<&str>) -> Result<Box<RawValue>, BadRequest> {
    let text = match input.map(str::trim) {
        None | Some("null") => "[]".to_owned(),
        Some(text) if text.starts_with('"') => {
            format!(
                r#"[{{"type":"message","role":"user","content":[{{"type":"input_text","text":{text}}}]}}]"#
            )
        }
        Some(items) => items.to_owned(),
    };
    RawValue::from_string(text).map_err(|error| BadRequest {
        path: "input".to_owned(),
        message: format!("`input` is no JSON: {error}"),
        code: "invalid_json",
    })
}

/// The items inside an array, without its brackets; empty where there are none.
pub(super) fn inside(array: &str) -> &str {
    let inner = array.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.map_or("", str::trim)
}

/// Lists of items in one array.
pub(super) fn joined<'a>(lists: impl IntoIterator<Item = &'a str>) -> String {
    let lists: Vec<&str> = lists.into_iter().filter(|list| !list.is_empty()).collect();
    format!("[{}]", lists.join(","))
}

/// An answer's output as input items of the next turn.
pub(super) fn said(response: &str) -> Vec<Value> {
    let (id, mut items) = output(response);
    items.retain_mut(|item| becomes_input(item, &id));
    items
}

/// One item of an answer's output as an input item.
pub(super) fn one(response: &str, item: &str) -> Option<Value> {
    let (id, items) = output(response);
    let mut found = items.into_iter().find(|known| known["id"] == item)?;
    becomes_input(&mut found, &id).then_some(found)
}

/// The answer that an item of this id came in, if this gateway wrote it: its items are called
/// `msg_{answer}_{place}`, and the answer `resp_{answer}`.
pub(super) fn answer_of(item: &str) -> Option<String> {
    let (rest, place) = item.rsplit_once('_')?;
    let (_, answer) = rest.split_once('_')?;
    let ours = answer.len() == 32 && answer.bytes().all(|byte| byte.is_ascii_hexdigit());
    (ours && place.bytes().all(|byte| byte.is_ascii_digit())).then(|| format!("resp_{answer}"))
}

/// The id and the output of an answer.
fn output(response: &str) -> (String, Vec<Value>) {
    let Ok(mut response) = serde_json::from_str::<Value>(response) else { return Default::default() };
    let id = response["id"].as_str().unwrap_or_default().to_owned();
    match response.get_mut("output").map(Value::take) {
        Some(Value::Array(items)) => (id, items),
        _ => (id, Vec::new()),
    }
}

/// Makes an item of an answer one of a request; says whether it can be.
///
/// Ids are left out, since no provider has stored what they name, except where a thought needs its own to be
/// decrypted. A thought that neither is encrypted nor was written by us cannot be read by anyone any more.
fn becomes_input(item: &mut Value, answer: &str) -> bool {
    let ours = format!("rs_{}_", answer.strip_prefix("resp_").unwrap_or(answer));
    let Value::Object(fields) = item else { return false };
    if fields.get("encrypted_content").is_some_and(|sealed| !sealed.is_null()) {
        fields.remove("status");
        return true;
    }
    let made_here = fields.get("id").and_then(Value::as_str).is_some_and(|id| id.starts_with(&ours));
    fields.remove("id");
    fields.remove("status");
    made_here || fields.get("type") != Some(&json!("reasoning"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_input_becomes_items() {
        let check = |input: Option<&str>, items: &str| assert_eq!(own(input).unwrap().get(), items);
        check(None, "[]");
        check(Some("null"), "[]");
        check(
            Some(r#""Hi \u00e9""#),
            r#"[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi \u00e9"}]}]"#,
        );
        check(Some(r#"[ {"role":"user"} ]"#), r#"[ {"role":"user"} ]"#);
    }

    #[test]
    fn lists_are_joined_without_empty_places() {
        let check = |lists: &[&str], array: &str| {
            assert_eq!(joined(lists.iter().map(|list| inside(list))), array);
        };
        check(&[], "[]");
        check(&["[]", " [ ] "], "[]");
        check(&["[1, 2]", "[]", "[3]"], "[1, 2,3]");
    }

    #[test]
    fn an_answer_becomes_input_that_any_provider_takes() {
        let check = |output: Value, items: Value| {
            let response = json!({ "id": "resp_abc", "output": output }).to_string();
            assert_eq!(Value::from(said(&response)), items);
        };
        let message = json!({ "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [] });
        check(json!([message]), json!([{ "type": "message", "role": "assistant", "content": [] }]));
        let call =
            json!({ "type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}" });
        check(
            json!([call]),
            json!([{ "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" }]),
        );
        let sealed = json!({ "type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "x" });
        check(json!([sealed]), json!([sealed]));
        let theirs = json!({ "type": "reasoning", "id": "rs_9", "summary": [] });
        check(json!([theirs]), json!([]));
        let ours = json!({ "type": "reasoning", "id": "rs_abc_0", "summary": [1] });
        check(json!([ours]), json!([{ "type": "reasoning", "summary": [1] }]));
        assert_eq!(said("[]"), Vec::<Value>::new());
    }

    #[test]
    fn an_item_of_ours_names_its_answer() {
        let answer = "0123456789abcdef0123456789abcdef";
        assert_eq!(answer_of(&format!("msg_{answer}_0")), Some(format!("resp_{answer}")));
        for other in ["msg_1", "msg_68af0_0", &format!("msg_{answer}"), &format!("msg_{answer}_x"), ""] {
            assert_eq!(answer_of(other), None, "{other}");
        }
        let response = json!({ "id": "resp_a", "output": [{ "type": "message", "id": "msg_a_0", "role": "assistant" }] });
        let found = one(&response.to_string(), "msg_a_0");
        assert_eq!(found, Some(json!({ "type": "message", "role": "assistant" })));
        assert_eq!(one(&response.to_string(), "msg_a_1"), None);
    }
}

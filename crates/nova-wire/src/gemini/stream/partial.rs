//! Arguments that come in pieces, each at a place in the object (`partialArgs`).
//!
//! Invariant: a piece makes at most one new value and the objects on its way, so that memory stays a
//! small multiple of what came in.
//!
//! Source: "Streaming function call arguments" in Vertex AI's documentation, and a recorded stream.

use serde_json::{Map, Value};

/// How deep a piece may lie.
const MAX_DEPTH: usize = 32;

/// One step on the way to a value.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Adds the pieces of a chunk to the arguments. A piece at a place that cannot be is passed over.
pub(super) fn add(arguments: &mut Value, pieces: &Value) {
    for piece in pieces.as_array().into_iter().flatten() {
        let path = piece.get("jsonPath").and_then(Value::as_str).unwrap_or_default();
        let Some((value, steps)) = value(piece).zip(steps(path)) else { continue };
        let Some(place) = find(arguments, &steps) else { continue };
        match (place, value) {
            (Value::String(all), Value::String(more)) => all.push_str(&more),
            (place, value) => *place = value,
        }
    }
}

fn value(piece: &Value) -> Option<Value> {
    ["stringValue", "numberValue", "boolValue", "nullValue"].iter().find_map(|kind| match *kind {
        // Google writes the word `NULL_VALUE` there.
        "nullValue" => piece.get(kind).map(|_| Value::Null),
        kind => piece.get(kind).cloned(),
    })
}

/// The steps of a path such as `$.places[0].name` or `$['first name']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() && steps.len() < MAX_DEPTH {
        if let Some(after) = rest.strip_prefix("['") {
            let (name, after) = after.split_once("']")?;
            steps.push(Step::Key(name.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            steps.push(Step::Key(after[..end].to_owned()));
            rest = &after[end..];
        }
    }
    (rest.is_empty() && !steps.is_empty()).then_some(steps)
}

/// The value at a place, which is made where it is missing. A list grows by one at a time.
fn find<'a>(root: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    let mut at = root;
    for step in steps {
        at = match step {
            Step::Key(name) => {
                if at.is_null() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut()?.entry(name).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if at.is_null() {
                    *at = Value::Array(Vec::new());
                }
                let list = at.as_array_mut()?;
                if *index == list.len() {
                    list.push(Value::Null);
                }
                list.get_mut(*index)?
            }
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_come_together_at_their_places() {
        let check = |pieces: Value, expected: Value| {
            let mut arguments = json!({});
            add(&mut arguments, &pieces);
            assert_eq!(arguments, expected);
        };
        check(
            json!([{"jsonPath": "$.a", "stringValue": "Bos"}, {"jsonPath": "$.a", "stringValue": "ton"},
                {"jsonPath": "$.list[0].n", "numberValue": 1.5}, {"jsonPath": "$.list[1]", "boolValue": true},
                {"jsonPath": "$['first name']", "nullValue": "NULL_VALUE"}]),
            json!({"a": "Boston", "list": [{"n": 1.5}, true], "first name": null}),
        );
        // Places that cannot be: past a list's end, inside a text, no path at all.
        check(
            json!([{"jsonPath": "$.l[9999999999]", "numberValue": 1}, {"jsonPath": "$.a", "stringValue": "x"},
                {"jsonPath": "$.a.b", "stringValue": "y"}, {"jsonPath": "a", "stringValue": "z"},
                {"jsonPath": "$", "stringValue": "z"}, {"jsonPath": "$.b"}, {"jsonPath": "$.c[", "boolValue": true}]),
            json!({"l": [], "a": "x"}),
        );
        check(json!({"jsonPath": "$.a"}), json!({}));
        assert_eq!(steps(&format!("${}", ".a".repeat(40))), None);
    }
}

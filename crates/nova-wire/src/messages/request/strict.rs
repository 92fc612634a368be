//! The limits of strict schemas.
//!
//! Anthropic compiles a strict schema into a grammar and refuses what compiles badly. Recorded limits:
//! 20 strict tools in a request, 24 optional parameters and 16 unions over all of them, no recursion.

use serde_json::{Map, Value};

use crate::hub::request::Tool;

const MOST_TOOLS: usize = 20;
const MOST_OPTIONAL: usize = 24;
const MOST_UNIONS: usize = 16;

/// Whether the strict tools of a request keep to the limits.
pub(super) fn fits(tools: &[Tool]) -> bool {
    let mut seen = Seen::default();
    let strict = tools.iter().filter(|tool| tool.strict == Some(true));
    let mut count = 0;
    for tool in strict {
        count += 1;
        if let Some(schema) = &tool.parameters {
            look(schema, &mut seen);
        }
    }
    count <= MOST_TOOLS && seen.optional <= MOST_OPTIONAL && seen.unions <= MOST_UNIONS && !seen.refused
}

#[derive(Default)]
struct Seen {
    optional: usize,
    unions: usize,
    /// A reference may be recursive, and a boolean schema is refused in any case.
    refused: bool,
}

// The depth of a schema is bounded by the JSON parser that read it.
fn look(schema: &Value, seen: &mut Seen) {
    let Value::Object(fields) = schema else {
        seen.refused |= schema.is_boolean();
        return;
    };
    seen.refused |= fields.contains_key("$ref");
    let union = fields.get("type").is_some_and(Value::is_array)
        || fields.contains_key("anyOf")
        || fields.contains_key("oneOf");
    seen.unions += usize::from(union);
    if let Some(Value::Object(properties)) = fields.get("properties") {
        let required = fields.get("required").and_then(Value::as_array).map_or(0, Vec::len);
        seen.optional += properties.len().saturating_sub(required);
    }
    children(fields, &mut |child| look(child, seen));
}

fn children(fields: &Map<String, Value>, visit: &mut impl FnMut(&Value)) {
    for key in ["properties", "$defs", "definitions"] {
        if let Some(Value::Object(map)) = fields.get(key) {
            map.values().for_each(&mut *visit);
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(list)) = fields.get(key) {
            list.iter().for_each(&mut *visit);
        }
    }
    if let Some(items) = fields.get("items") {
        visit(items);
    }
}

/// The schema with every object closed (`additionalProperties: false`), as strict output demands.
/// Optional properties stay optional.
pub(super) fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut fields: Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), closed_field(key, value))).collect();
            let object = fields.get("type").and_then(Value::as_str) == Some("object");
            if object && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            Value::Object(fields)
        }
        other => other.clone(),
    }
}

fn closed_field(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("properties" | "$defs" | "definitions", Value::Object(map)) => {
            Value::Object(map.iter().map(|(name, schema)| (name.clone(), closed(schema))).collect())
        }
        ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => {
            Value::Array(list.iter().map(closed).collect())
        }
        ("items", schema) => closed(schema),
        (_, other) => other.clone(),
    }
}

//! JSON schemas in the form that Google reads, and Google's own form as a JSON schema.
//!
//! Google has two fields for a schema. The older one (`parameters`, `responseSchema`) holds a `Schema`
//! message: types in capitals, `nullable`, 64-bit numbers as strings, and no way to say the rest. The
//! newer one (`parametersJsonSchema`, `responseJsonSchema`) holds a JSON schema, of which Google reads
//! some keywords, passes over others, and refuses a few mistakes that other providers let through.
//! [`standard`] reads the older form; [`mended`] makes a schema fit for the newer one, which is the only
//! one that is written.
//!
//! Depth is bounded by the JSON parser that read the schema.
//!
//! Sources: `Schema` and `GenerationConfig.responseJsonSchema` in Google's API reference; refusals that
//! users of the API report (an empty word in `enum`, an unknown name in `required`, an array without
//! `items`).

use serde_json::{Map, Value, json};

/// A `Schema` message as a JSON schema. A JSON schema in its place means the same afterwards; Google's SDK
/// for Python spells its keywords with underscores.
pub(super) fn standard(schema: Value) -> Value {
    let Value::Object(fields) = schema else { return schema };
    let mut out = Map::with_capacity(fields.len());
    let mut nullable = false;
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("type", Value::String(kind)) => {
                let kind = kind.to_ascii_lowercase();
                if kind != "type_unspecified" {
                    out.insert(key, Value::String(kind));
                }
            }
            ("nullable", Value::Bool(flag)) => nullable = flag,
            // `enum` is no format, it only says that there is one.
            ("format", Value::String(format)) if format == "enum" => {}
            ("propertyOrdering" | "property_ordering", _) => {}
            ("example", value) => {
                out.insert("examples".to_owned(), json!([value]));
            }
            ("properties" | "$defs", Value::Object(all)) => {
                let all = all.into_iter().map(|(name, schema)| (name, standard(schema))).collect();
                out.insert(key, Value::Object(all));
            }
            (name, Value::Array(all)) if list_name(name).is_some() => {
                let all: Vec<Value> = all.into_iter().map(standard).collect();
                out.insert(list_name(name).unwrap_or(name).to_owned(), Value::Array(all));
            }
            ("items", value) => {
                out.insert(key, standard(value));
            }
            ("additionalProperties" | "additional_properties", value) => {
                out.insert("additionalProperties".to_owned(), standard(value));
            }
            (bound, value) => {
                let name = bound_name(bound).unwrap_or(bound).to_owned();
                out.insert(name, if bound_name(bound).is_some() { number(value) } else { value });
            }
        }
    }
    if nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

/// The keyword for a list of schemas.
fn list_name(key: &str) -> Option<&'static str> {
    Some(match key {
        "anyOf" | "any_of" => "anyOf",
        "oneOf" | "one_of" => "oneOf",
        "allOf" | "all_of" => "allOf",
        "prefixItems" | "prefix_items" => "prefixItems",
        _ => return None,
    })
}

/// The keyword for a bound, which Google may spell with underscores and give as a string.
fn bound_name(key: &str) -> Option<&'static str> {
    Some(match key {
        "minItems" | "min_items" => "minItems",
        "maxItems" | "max_items" => "maxItems",
        "minLength" | "min_length" => "minLength",
        "maxLength" | "max_length" => "maxLength",
        "minProperties" | "min_properties" => "minProperties",
        "maxProperties" | "max_properties" => "maxProperties",
        _ => return None,
    })
}

fn number(value: Value) -> Value {
    match value.as_str().and_then(|text| text.parse::<u64>().ok()) {
        Some(number) => json!(number),
        None => value,
    }
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    if let Some(Value::Array(kinds)) = schema.get_mut("anyOf") {
        kinds.push(json!({ "type": "null" }));
    }
    if let Some(kind) = schema.get_mut("type").filter(|kind| kind.is_string()) {
        *kind = json!([kind.take(), "null"]);
    }
}

/// A JSON schema in the keywords that Google reads, without the mistakes that it refuses.
pub(super) fn mended(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        // `true` and `false` are schemas, too; the first one allows anything, and the second is of no use.
        return json!({});
    };
    let mut out = Map::with_capacity(fields.len());
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("$schema" | "$comment" | "nullable", _) => {}
            ("const", value) => {
                out.insert("enum".to_owned(), json!([value]));
            }
            ("enum", Value::Array(words)) => {
                let words: Vec<&Value> = words.iter().filter(|word| *word != "").collect();
                if !words.is_empty() {
                    out.insert(key.clone(), json!(words));
                }
            }
            ("oneOf" | "anyOf", Value::Array(all)) => {
                out.insert("anyOf".to_owned(), all.iter().map(mended).collect());
            }
            ("prefixItems", Value::Array(all)) => {
                out.insert(key.clone(), all.iter().map(mended).collect());
            }
            ("allOf", Value::Array(_)) => {}
            ("properties" | "$defs" | "definitions", Value::Object(all)) => {
                let all = all.iter().map(|(name, schema)| (name.clone(), mended(schema))).collect();
                out.insert(key.clone(), Value::Object(all));
            }
            ("items", value) => {
                out.insert(key.clone(), mended(value));
            }
            ("additionalProperties", Value::Object(_)) => {
                out.insert(key.clone(), mended(value));
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    if let Some(Value::Array(all)) = fields.get("allOf") {
        all.iter().for_each(|part| merge(&mut out, mended(part)));
    }
    if fields.get("nullable") == Some(&Value::Bool(true)) {
        allow_null(&mut out);
    }
    settle(&mut out);
    Value::Object(out)
}

/// Puts a part of an `allOf` into the schema. Where both say something, the properties and what is
/// required are joined, and of anything else the schema's own word counts.
fn merge(schema: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { return };
    for (key, value) in part {
        match (schema.get_mut(&key), value) {
            (Some(Value::Object(own)), Value::Object(more)) => {
                for (name, schema) in more {
                    own.entry(name).or_insert(schema);
                }
            }
            (Some(Value::Array(own)), Value::Array(more)) if key == "required" => {
                let new: Vec<Value> = more.into_iter().filter(|name| !own.contains(name)).collect();
                own.extend(new);
            }
            (Some(_), _) => {}
            (None, value) => {
                schema.insert(key, value);
            }
        }
    }
}

/// What Google refuses: a required property that is not described, and an array of nothing.
fn settle(schema: &mut Map<String, Value>) {
    if let (Some(Value::Object(properties)), Some(Value::Array(required))) =
        (schema.get("properties"), schema.get("required"))
    {
        let known = |name: &&Value| name.as_str().is_some_and(|name| properties.contains_key(name));
        let kept: Vec<Value> = required.iter().filter(known).cloned().collect();
        if kept.is_empty() {
            schema.shift_remove("required");
        } else {
            schema.insert("required".to_owned(), Value::Array(kept));
        }
    }
    let array = schema.get("type").is_some_and(|kind| kind == "array");
    if array && !schema.contains_key("items") && !schema.contains_key("prefixItems") {
        schema.insert("items".to_owned(), json!({}));
    }
}

/// The schema of a tool's arguments: an object at its root, as Google demands.
pub(super) fn of_arguments(parameters: Option<&Value>) -> Value {
    let Some(schema @ Value::Object(_)) = parameters else {
        return json!({ "type": "object", "properties": {} });
    };
    let mut schema = mended(schema);
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => schema,
        None => {
            schema["type"] = json!("object");
            schema
        }
        // The arguments of such a tool cannot be an object of themselves.
        Some(_) => json!({ "type": "object", "properties": { "value": schema }, "required": ["value"] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_own_form_becomes_a_json_schema() {
        let check = |schema: Value, expected: Value| assert_eq!(standard(schema), expected);
        check(
            json!({"type": "OBJECT", "propertyOrdering": ["a"], "required": ["a"], "properties": {
                "a": {"type": "STRING", "nullable": true, "format": "enum", "enum": ["x"]},
                "type": {"type": "ARRAY", "minItems": "1", "max_items": 3, "items": {"type": "INTEGER", "format": "int64"}},
                "b": {"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": true, "example": 1}}}),
            json!({"type": "object", "required": ["a"], "properties": {
                "a": {"type": ["string", "null"], "enum": ["x", null]},
                "type": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "integer", "format": "int64"}},
                "b": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}], "examples": [1]}}}),
        );
        let plain = json!({"type": ["string", "null"], "pattern": "a", "additionalProperties": false});
        check(plain.clone(), plain);
        check(json!({"type": "TYPE_UNSPECIFIED"}), json!({}));
        check(json!(true), json!(true));
    }

    #[test]
    fn schemas_are_mended_for_google() {
        let check = |schema: Value, expected: Value| assert_eq!(mended(&schema), expected);
        check(
            json!({"$schema": "s", "type": "object", "required": ["a", "gone"], "additionalProperties": false,
                "properties": {"a": {"const": 1}, "b": {"oneOf": [{"type": "string"}, true]},
                    "c": {"type": "array"}, "d": {"type": "string", "enum": ["", "x"]},
                    "$schema": {"type": "string", "nullable": true}}}),
            json!({"type": "object", "required": ["a"], "additionalProperties": false,
                "properties": {"a": {"enum": [1]}, "b": {"anyOf": [{"type": "string"}, {}]},
                    "c": {"type": "array", "items": {}}, "d": {"type": "string", "enum": ["x"]},
                    "$schema": {"type": ["string", "null"]}}}),
        );
        check(
            json!({"allOf": [{"type": "object", "properties": {"a": {}}, "required": ["a"]},
                {"properties": {"b": {}}, "required": ["a", "b"]}], "description": "d"}),
            json!({"description": "d", "type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}),
        );
        let kept = json!({"$defs": {"n": {"$ref": "#/$defs/n"}}, "$ref": "#/$defs/n", "minLength": 2});
        check(kept.clone(), kept);
    }

    #[test]
    fn arguments_are_an_object() {
        for (schema, expected) in [
            (None, json!({"type": "object", "properties": {}})),
            (Some(json!({})), json!({"type": "object"})),
            (Some(json!({"type": "object", "properties": {}})), json!({"type": "object", "properties": {}})),
            (
                Some(json!({"type": "string"})),
                json!({"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}),
            ),
        ] {
            assert_eq!(of_arguments(schema.as_ref()), expected);
        }
    }
}

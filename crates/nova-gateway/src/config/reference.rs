//! The reference page of the configuration, made from the schema, so that it cannot say something else.

use std::fmt::Write as _;

use serde_json::{Map, Value};

const OPENING: &str = "\
<!-- Generated from the configuration's types (crates/nova-gateway/src/config/raw.rs). Do not edit. -->
# Configuration

One YAML file, given with `--config FILE`. Without one, the built-in catalogue is served with the credentials that the
environment holds. [examples/full.yaml](../../examples/full.yaml) shows every key in its place.

- `novastack --config FILE check` says all that is wrong, each with its line. Unknown keys and keys that are there twice are refused.
- The file is reloaded when it changed and stands still, and at once on SIGHUP. One with an error changes nothing: the configuration
  before it stays in force, and `/admin/v1/status` says why. A request under way keeps the configuration that it began with.
  `listen`, `data_dir`, `database`, `keys`, `engine` and `telemetry` are read at the start only.
- Any text may hold `${NAME}`, an environment variable, or `${file:/path}`, a file's content without the line breaks at its end.
  They are filled in after parsing, so what they hold is a value and never more. A missing one is an error at its line. `$${` is a plain
  `${`. Within `{…}`, YAML wants quotes: `{ key: \"${NAME}\" }`.
- Letter case never matters in names of models and providers, and `.`, `_` and `-` are alike in names of models.
- Spans of time are written `500ms`, `5s`, `2m`, `1h`; sizes `512KiB`, `32MiB`, `10MB`.
";

/// The page, in Markdown.
pub fn reference() -> String {
    let schema = super::schema();
    let mut page = OPENING.to_owned();
    section(&mut page, "The file", &schema);
    let mut definitions: Vec<(&String, &Value)> = schema["$defs"].as_object().into_iter().flatten().collect();
    definitions.sort_by_key(|(name, _)| title(name));
    for (name, definition) in definitions {
        section(&mut page, &title(name), definition);
    }
    page
}

/// `RawOffPeak` is called "off peak" in text.
fn title(name: &str) -> String {
    let mut title = String::new();
    for letter in name.strip_prefix("Raw").unwrap_or(name).chars() {
        if letter.is_uppercase() && !title.is_empty() {
            title.push(' ');
        }
        title.extend(letter.to_lowercase());
    }
    let mut letters = title.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    first + letters.as_str()
}

fn section(page: &mut String, title: &str, definition: &Value) {
    // Writing to a text cannot fail.
    let _ = write!(page, "\n## {title}\n\n");
    if let Some(description) = definition["description"].as_str() {
        let _ = write!(page, "{}\n\n", in_one_line(description));
    }
    let required: Vec<&str> =
        definition["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(properties) = definition["properties"].as_object() {
        keys(page, properties, &required);
    } else if let Some(words) = words(definition) {
        let _ = writeln!(page, "{words}");
    } else {
        let _ = writeln!(page, "{}.", shape(definition));
    }
}

fn keys(page: &mut String, properties: &Map<String, Value>, required: &[&str]) {
    page.push_str("| key | value | meaning |\n|---|---|---|\n");
    for (key, property) in properties {
        let needed = if required.contains(&key.as_str()) { " (needed)" } else { "" };
        let meaning = in_one_line(property["description"].as_str().unwrap_or_default());
        let _ = writeln!(page, "| `{key}`{needed} | {} | {meaning} |", shape(property));
    }
}

/// The words of an enumeration, with what each means.
fn words(definition: &Value) -> Option<String> {
    let choices = definition["oneOf"].as_array().or_else(|| definition["anyOf"].as_array())?;
    let mut list = String::new();
    for choice in choices {
        let word = choice["const"].as_str().or_else(|| choice["required"][0].as_str())?;
        let meaning = in_one_line(choice["description"].as_str().unwrap_or_default());
        let _ = writeln!(list, "- `{word}`: {meaning}");
    }
    list.pop();
    Some(list)
}

/// What kind of value a schema describes.
fn shape(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = title(reference.rsplit('/').next().unwrap_or_default());
        return format!("[{}](#{})", name.to_lowercase(), name.to_lowercase().replace(' ', "-"));
    }
    if let Some(choices) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        let shapes: Vec<String> =
            choices.iter().filter(|choice| choice["type"] != "null").map(shape).collect();
        return shapes.join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if let Some(word) = schema["const"].as_str() {
        return format!("`{word}`");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find_map(|kind| kind.as_str().filter(|kind| *kind != "null")),
        kind => kind.as_str(),
    };
    match kind {
        Some("string") if schema["examples"][0].is_string() => {
            format!("such as `{}`", schema["examples"][0].as_str().unwrap_or_default())
        }
        Some("string") => "text".into(),
        Some("integer") => "whole number".into(),
        Some("number") => "number".into(),
        Some("boolean") => "`true` or `false`".into(),
        Some("array") => format!("list of {}", shape(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("by name: {}", shape(&schema["additionalProperties"]))
        }
        Some("object") => "map".into(),
        _ => "anything".into(),
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

//! Tools that Anthropic's models know by name and the client runs itself: a shell, an editor, a screen, a memory.
//!
//! They have a type with a date and no schema. Any other model is shown them as ordinary functions of the same
//! name with the fields that Anthropic documents, so that its calls are what the client expects.
//!
//! Source: the pages on each tool at <https://platform.claude.com/docs/en/agents-and-tools/tool-use>.

use serde_json::{Map, Value, json};

use crate::hub::request::Tool;

/// Turns them into functions. What the provider runs itself (`web_search`) stays what it is.
pub(crate) fn as_functions(tools: &mut [Tool]) {
    for tool in tools {
        let Some((description, parameters)) = tool.foreign.as_ref().and_then(function) else { continue };
        tool.description = Some(description);
        tool.parameters = Some(parameters);
        tool.foreign = None;
    }
}

/// Description and schema of a tool that is known by its type.
fn function(tool: &Value) -> Option<(String, Value)> {
    let (kind, date) = tool.get("type")?.as_str()?.rsplit_once('_')?;
    Some(match kind {
        "bash" => {
            let fields = json!({
                "command": text("The command to run; needed unless `restart` is true."),
                "restart": { "type": "boolean", "description": "Whether to begin a new session." },
            });
            ("Runs a command in a shell that keeps its state.".to_owned(), object(fields, &[]))
        }
        "text_editor" => {
            let says = "Views, creates and changes files.";
            (says.to_owned(), object(editor(date), &["command", "path"]))
        }
        "memory" => {
            let fields = merged(
                editor("9"),
                json!({
                    "command": one_of(&["view", "create", "str_replace", "insert", "delete", "rename"]),
                    "old_path": text("For `rename`: what is moved."),
                    "new_path": text("For `rename`: where to."),
                }),
            );
            let says = "Keeps notes as files under `/memories`, which outlast this conversation.";
            (says.to_owned(), object(fields, &["command"]))
        }
        "computer" => {
            let size = |field: &str| tool.get(field).and_then(Value::as_u64).unwrap_or_default();
            let (width, height) = (size("display_width_px"), size("display_height_px"));
            let says = format!("Works a screen of {width} by {height} pixels with mouse and keyboard.");
            (says, object(screen(), &["action"]))
        }
        _ => return None,
    })
}

fn editor(date: &str) -> Value {
    let mut fields = json!({
        "command": one_of(&["view", "create", "str_replace", "insert"]),
        "path": text("The file or folder."),
        "view_range": {
            "type": "array",
            "items": { "type": "integer" },
            "description": "For `view`: first and last line, counted from 1; -1 is the end.",
        },
        "file_text": text("For `create`: the whole content."),
        "old_str": text("For `str_replace`: what is there, exactly and once."),
        "new_str": text("For `str_replace`: what takes its place."),
        "insert_line": { "type": "integer", "description": "For `insert`: the line after which to insert; 0 is the top." },
    });
    if date < "20250728" {
        fields["new_str"] = text("For `str_replace`: what takes its place. For `insert`: the new text.");
    } else {
        fields["insert_text"] = text("For `insert`: the new text.");
    }
    fields
}

fn screen() -> Value {
    let point =
        || json!({ "type": "array", "items": { "type": "integer" }, "description": "x and y in pixels." });
    json!({
        "action": one_of(&[
            "screenshot", "left_click", "right_click", "middle_click", "double_click", "triple_click",
            "left_click_drag", "left_mouse_down", "left_mouse_up", "mouse_move", "cursor_position", "scroll",
            "type", "key", "hold_key", "wait",
        ]),
        "coordinate": point(),
        "start_coordinate": point(),
        "text": text("What to type, or which keys to press."),
        "scroll_direction": one_of(&["up", "down", "left", "right"]),
        "scroll_amount": { "type": "integer" },
        "duration": { "type": "number", "description": "Seconds." },
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn merged(base: Value, over: Value) -> Value {
    let fields = |value: Value| if let Value::Object(fields) = value { fields } else { Map::new() };
    let mut all = fields(base);
    all.extend(fields(over));
    Value::Object(all)
}

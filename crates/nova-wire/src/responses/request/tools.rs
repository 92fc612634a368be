//! What the model may call, and must.

use serde_json::{Map, Value};

use crate::error::BadRequest;
use crate::fields::{Object, wrong_type, wrong_value};
use crate::hub::request::{Request, Tool, ToolChoice};
use crate::responses::hosted::Hosted;

/// Reads `tools`; `bridge` makes functions of those that OpenAI defines and the client runs.
pub(super) fn read(
    body: &mut Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
    bridge: bool,
) -> Result<(), BadRequest> {
    for (at, tool) in body.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        for field in unread(&tool) {
            extra.insert(format!("tools.{field}"), Value::Bool(true));
        }
        read_tool(Object::new(format!("tools[{at}]"), tool)?, &mut request.tools, bridge)?;
    }
    Ok(())
}

/// The fields of a function that the hub has no place for.
fn unread(tool: &Value) -> impl Iterator<Item = &str> {
    const READ: [&str; 7] =
        ["type", "name", "description", "parameters", "strict", "cache_control", "function"];
    let fields = tool.as_object().filter(|fields| fields.get("type").is_none_or(|kind| kind == "function"));
    fields
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, _)| name.as_str())
        .filter(|name| !READ.contains(name))
}

/// Reads one entry, which may stand for several tools.
pub(super) fn read_tool(mut tool: Object, out: &mut Vec<Tool>, bridge: bool) -> Result<(), BadRequest> {
    match tool.fields.get("type").and_then(Value::as_str) {
        Some("function") | None => {
            tool.take("type");
            out.push(function(tool)?);
        }
        Some("custom") => out.push(custom(tool)?),
        Some("namespace") => namespace(tool, out, bridge)?,
        Some(kind) => {
            let kind = kind.to_owned();
            let value = Value::Object(tool.fields);
            out.push(match Hosted::of_tool(&value).filter(|_| bridge) {
                Some(hosted) => hosted.function(&value),
                None => Tool { name: kind, foreign: Some(value), ..Tool::default() },
            });
        }
    }
    Ok(())
}

fn function(mut tool: Object) -> Result<Tool, BadRequest> {
    // The form of the chat dialect, which some clients send here too.
    if let Some(inner) = tool.object("function")? {
        return function(inner);
    }
    Ok(Tool {
        name: name(&mut tool)?,
        description: tool.string("description")?,
        parameters: tool.object("parameters")?.map(|schema| Value::Object(schema.fields)),
        strict: tool.flag("strict")?,
        cache: tool.take("cache_control"),
        ..Tool::default()
    })
}

fn custom(mut tool: Object) -> Result<Tool, BadRequest> {
    Ok(Tool {
        name: name(&mut tool)?,
        description: tool.string("description")?,
        custom: Some(tool.object("format")?.map_or(Value::Null, |format| Value::Object(format.fields))),
        ..Tool::default()
    })
}

/// A group of tools. Its description, for which no other dialect has a place, goes before that of the
/// first tool.
fn namespace(mut group: Object, out: &mut Vec<Tool>, bridge: bool) -> Result<(), BadRequest> {
    let space = name(&mut group)?;
    let mut about = group.string("description")?.filter(|text| !text.is_empty());
    for (at, tool) in group.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let tool = Object::new(format!("{}.tools[{at}]", group.path), tool)?;
        if tool.fields.get("type").and_then(Value::as_str) == Some("namespace") {
            return Err(wrong_value(tool.place("type"), "`function` or `custom`", "namespace"));
        }
        let before = out.len();
        read_tool(tool, out, bridge)?;
        for tool in &mut out[before..] {
            tool.namespace = Some(space.clone());
            if let Some(about) = about.take() {
                let own = tool.description.take().unwrap_or_default();
                tool.description = Some(format!("{about}\n\n{own}").trim_end().to_owned());
            }
        }
    }
    Ok(())
}

fn name(tool: &mut Object) -> Result<String, BadRequest> {
    let name = tool.need_string("name")?;
    if name.is_empty() { Err(wrong_value(tool.place("name"), "a name", "")) } else { Ok(name) }
}

/// Reads `tool_choice`. A list of allowed tools takes all others out of the request.
pub(super) fn read_choice(body: &mut Object, request: &mut Request) -> Result<(), BadRequest> {
    let words = "`auto`, `none`, `required` or an object";
    let mut choice = match body.take("tool_choice") {
        None => return Ok(()),
        Some(Value::String(word)) => {
            request.tool_choice = Some(match word.as_str() {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                other => return Err(wrong_value("tool_choice".to_owned(), words, other)),
            });
            return Ok(());
        }
        Some(object @ Value::Object(_)) => Object::new("tool_choice".to_owned(), object)?,
        Some(other) => return Err(wrong_type("tool_choice".to_owned(), words, &other)),
    };
    let whole = Value::Object(choice.fields.clone());
    let kind = choice.need_string("type")?;
    request.tool_choice = Some(match kind.as_str() {
        "function" | "custom" => ToolChoice::Named(named(&mut choice)?),
        "allowed_tools" => allowed(choice, request)?,
        _ if request.tools.iter().any(|tool| tool.foreign.is_none() && tool.name == kind) => {
            ToolChoice::Named(kind)
        }
        // A tool that the provider runs; no other one could be told to call it.
        _ => {
            body.fields.insert("tool_choice".to_owned(), whole);
            return Ok(());
        }
    });
    Ok(())
}

/// The name of a function, flat or in the chat dialect's form.
fn named(choice: &mut Object) -> Result<String, BadRequest> {
    match choice.object("function")? {
        Some(mut function) => function.need_string("name"),
        None => choice.need_string("name"),
    }
}

fn allowed(mut choice: Object, request: &mut Request) -> Result<ToolChoice, BadRequest> {
    let mode = choice.string("mode")?;
    let place = choice.place("tools");
    let mut allowed = Vec::new();
    for (at, tool) in choice.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let mut tool = Object::new(format!("{place}[{at}]"), tool)?;
        let space = tool.string("namespace")?;
        let name = match tool.string("type")?.as_deref() {
            Some("function" | "custom") | None => named(&mut tool)?,
            Some("namespace") => {
                allowed.push((tool.need_string("name")?, true, None));
                continue;
            }
            Some(kind) => kind.to_owned(),
        };
        allowed.push((name, false, space));
    }
    request.tools.retain(|tool| {
        allowed.iter().any(|(name, group, space)| {
            if *group {
                tool.namespace.as_ref() == Some(name)
            } else {
                tool.name == *name && (space.is_none() || tool.namespace == *space)
            }
        })
    });
    match mode.as_deref() {
        Some("required") => Ok(ToolChoice::Required),
        Some("auto") | None => Ok(ToolChoice::Auto),
        Some(other) => Err(wrong_value(choice.place("mode"), "`auto` or `required`", other)),
    }
}

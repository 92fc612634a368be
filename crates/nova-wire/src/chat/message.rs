//! What a whole message and a stream's delta have in common: the fields of an assistant's message, under
//! all the names that providers give them.

use serde_json::{Value, json};

use crate::chat;
use crate::hub::reply::{Citation, Image};

/// Thinking, as one field says it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Thought {
    pub(crate) text: String,
    pub(crate) signature: Option<String>,
}

/// The thinking of a message: of `reasoning_content`, `reasoning`, `reasoning_details` and thinking parts
/// of the content, the first that says something. Some providers send the same in two of them.
pub(crate) fn thinking(message: &Value) -> Thought {
    let details = message.get("reasoning_details").and_then(Value::as_array);
    let plain = ["reasoning_content", "reasoning"].iter().find_map(|field| chat::text(message, field));
    let mut thought = Thought::default();
    for detail in details.into_iter().flatten() {
        if plain.is_none() {
            let text = chat::text(detail, "text").or_else(|| chat::text(detail, "summary"));
            thought.text.push_str(text.unwrap_or_default());
        }
        if let Some(signature) = chat::text(detail, "signature") {
            thought.signature = Some(signature.to_owned());
        }
    }
    if let Some(plain) = plain {
        plain.clone_into(&mut thought.text);
    }
    if thought.text.is_empty() {
        for part in message.get("content").and_then(Value::as_array).into_iter().flatten() {
            thought.text.push_str(&part_thinking(part));
        }
    }
    thought
}

/// The text of a thinking part: `{thinking: "…"}` or Mistral's `{thinking: [{type: text, text}]}`.
pub(crate) fn part_thinking(part: &Value) -> String {
    match part.get("thinking") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| chat::text(part, "text")).collect(),
        _ => String::new(),
    }
}

/// The text of a message's content, which is a string or a list of parts.
pub(crate) fn content(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.as_str().or_else(|| chat::text(part, "text"))).collect()
        }
        _ => String::new(),
    }
}

/// The arguments of a call as JSON text; a few servers send the object itself.
pub(crate) fn arguments(function: &Value) -> String {
    match function.get("arguments") {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Object(_) | Value::Array(_))) => value.to_string(),
        _ => String::new(),
    }
}

/// The pages that a message cites (`annotations`).
pub(crate) fn citations(message: &Value) -> Vec<Citation> {
    let annotations = message.get("annotations").and_then(Value::as_array);
    annotations.into_iter().flatten().filter_map(|one| citation(one.get("url_citation")?)).collect()
}

/// A page as OpenAI cites it, here and in Responses.
pub(crate) fn citation(fields: &Value) -> Option<Citation> {
    let at = |field: &str| fields.get(field)?.as_u64().and_then(|at| usize::try_from(at).ok());
    let span = at("start_index").zip(at("end_index")).filter(|(from, to)| from < to);
    Some(Citation {
        url: chat::text(fields, "url")?.to_owned(),
        title: chat::text(fields, "title").unwrap_or_default().to_owned(),
        quote: chat::text(fields, "content").map(str::to_owned),
        span,
    })
}

/// The pages that a whole answer names beside its message: Perplexity's `search_results`, or the addresses
/// alone (`citations`), as xAI has them.
pub(crate) fn sources(answer: &Value) -> Vec<Citation> {
    let list = |name: &str| answer.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let found: Vec<Citation> = list("search_results").iter().filter_map(citation).collect();
    if !found.is_empty() {
        return found;
    }
    let addresses = list("citations").iter().filter_map(Value::as_str);
    addresses.map(|url| Citation { url: url.to_owned(), ..Citation::default() }).collect()
}

/// A cited page as OpenAI's clients read it. One for no certain place stands at the beginning.
pub(crate) fn url_citation(citation: &Citation) -> Value {
    let (from, to) = citation.span.unwrap_or_default();
    json!({ "url": citation.url, "title": citation.title, "start_index": from, "end_index": to })
}

/// The images of a message, in the field that OpenRouter has for them.
pub(crate) fn images(message: &Value) -> Vec<Image> {
    let images = message.get("images").and_then(Value::as_array);
    let url = |image: &Value| Image::of_data_url(image.pointer("/image_url/url")?.as_str()?);
    images.into_iter().flatten().filter_map(url).collect()
}

/// An image as an entry of that field.
pub(crate) fn image(image: &Image) -> Value {
    json!({ "type": "image_url", "image_url": { "url": image.data_url() } })
}

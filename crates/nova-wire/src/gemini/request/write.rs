//! From the hub to a `generateContent` body.

use serde_json::{Map, Value};

use super::{config, tools, turns};
use crate::error::BadRequest;
use crate::gemini::fields::unsupported;
use crate::hub::request::Request;
use crate::quirks::Quirks;
use crate::translate::Target;

/// Objects of the body whose unknown fields go back into them.
const OBJECTS: &[&str] = &["generationConfig", "toolConfig"];

/// Writes a body, and adds the client's names of what it cannot carry to `dropped`. The model's name and
/// whether the answer is streamed stand in the path.
///
/// # Errors
/// Where the request asks for what the target cannot do at all and leaving it out would change its
/// meaning: an image for a model that reads text only, a file that lies in another provider's store.
pub fn write(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Vec<String>,
) -> Result<Vec<u8>, BadRequest> {
    let mut body = Map::new();
    let mut config = Map::new();
    let hints = config::write(request, target, &mut config, dropped);
    turns::write(request, target.quirks, hints, &mut body, dropped)?;
    tools::write(request, target.quirks, &mut body, dropped);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    if request.user.is_some() {
        drop_named(dropped, "user");
    }
    for (name, value) in &request.extra {
        let own = name.split('.').next().is_some_and(|first| OBJECTS.contains(&first));
        if !name.contains('.') || own {
            insert(&mut body, name, value.clone(), false);
        } else {
            drop_named(dropped, name);
        }
    }
    apply(target.quirks, &mut body, dropped);
    serde_json::to_vec(&body).map_err(|_| unsupported(String::new(), "the request cannot be written as JSON"))
}

/// How many names of lost things are kept: a client can think up any number of kinds.
const MAX_DROPPED: usize = 32;

/// Names something that is dropped, once.
pub(super) fn drop_named(dropped: &mut Vec<String>, name: &str) {
    if dropped.len() < MAX_DROPPED && !dropped.iter().any(|other| other == name) {
        dropped.push(name.to_owned());
    }
}

/// Sets the field at a place such as `generationConfig.thinkingConfig.thinkingBudget`, which is at most
/// three names deep, and makes the objects on the way. What is there already stays, unless `over`.
fn insert(body: &mut Map<String, Value>, place: &str, value: Value, over: bool) {
    let mut fields = body;
    let mut rest = place;
    for _ in 0..2 {
        let Some((object, inner)) = rest.split_once('.') else { break };
        let next = fields.entry(object).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(next) = next else { return };
        (fields, rest) = (next, inner);
    }
    if over {
        fields.insert(rest.to_owned(), value);
    } else {
        fields.entry(rest).or_insert(value);
    }
}

/// Takes the field at such a place away; a name alone may also stand in `generationConfig`.
fn remove(body: &mut Map<String, Value>, place: &str) -> Option<Value> {
    let (object, field) = place.split_once('.').unwrap_or(("generationConfig", place));
    let inner = body.get_mut(object).and_then(Value::as_object_mut);
    inner.and_then(|fields| fields.shift_remove(field)).or_else(|| body.shift_remove(place))
}

/// What the quirks say about single fields.
fn apply(quirks: &Quirks, body: &mut Map<String, Value>, dropped: &mut Vec<String>) {
    for name in quirks.drop.iter().flatten() {
        if remove(body, name).is_some() {
            drop_named(dropped, name);
        }
    }
    for (from, to) in quirks.rename.iter().flatten() {
        if let Some(value) = remove(body, from) {
            insert(body, to, value, true);
        }
    }
    for (place, value) in quirks.set.iter().flatten() {
        insert(body, place, value.clone(), true);
    }
}

//! Changes a few fields in raw JSON and leaves every other byte alone.
//!
//! Invariant: the bytes outside the changed fields (and the commas of removed ones) come out as they
//! went in, in the same order. The body must be JSON that [`crate::peek`] accepted.

use std::ops::Range;

use crate::error::BadRequest;
use crate::scan::{Fault, Kind, Scanner};

#[cfg(test)]
mod tests;

/// A change to a top-level field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Gives the field this JSON, in its place if it is there, else in front.
    Set(&'a str, Vec<u8>),
    /// Takes the field away, if it is there.
    Remove(&'a str),
    /// Gives the field another name, if it is there.
    Rename(&'a str, &'a str),
}

/// The places of one top-level field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, escapes resolved.
    pub name: String,
    /// Where the name stands, quotes included.
    pub key: Range<usize>,
    /// Where the value stands.
    pub value: Range<usize>,
}

/// The top-level fields of an object, in order.
///
/// # Errors
/// Where the body is no JSON object.
pub fn fields(body: &[u8]) -> Result<Vec<Field>, BadRequest> {
    let mut scan = Scanner::new(body)?;
    if scan.kind()? != Kind::Object {
        return Err(Fault::new("invalid_type", "must be a JSON object").into());
    }
    let mut fields = Vec::new();
    scan.object(|scan, name, key| {
        // The name's own end is not told; it is the last quote before the colon.
        let before = &body[key..scan.at()];
        let end = key + memchr::memrchr(b'"', before).map_or(before.len(), |at| at + 1);
        let value = scan.skip()?;
        fields.push(Field { name: name.to_owned(), key: key..end, value });
        Ok(())
    })?;
    scan.end()?;
    Ok(fields)
}

/// Puts `json` in the place of `span`, which must lie in `body`, and `front` behind the opening brace.
///
/// `front` is a list of fields with a comma behind each, such as `"a":1,`; the object has at least one
/// field of its own (the one at `span`).
pub fn replace(body: &[u8], span: Range<usize>, json: &[u8], front: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + json.len() + front.len());
    let open = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
    out.extend_from_slice(&body[..open]);
    out.extend_from_slice(front);
    out.extend_from_slice(&body[open..span.start]);
    out.extend_from_slice(json);
    out.extend_from_slice(&body[span.end..]);
    out
}

/// Applies edits to top-level fields, in order; where two touch the same field, the later one wins.
///
/// `places` is what [`fields`] says of the same body.
pub fn apply(body: &[u8], places: &[Field], edits: &[Edit<'_>]) -> Vec<u8> {
    let mut changes: Vec<Change<'_>> = places.iter().map(|_| Change::default()).collect();
    let mut front: Vec<(&str, &[u8])> = Vec::new();
    for edit in edits {
        let (Edit::Set(name, _) | Edit::Remove(name) | Edit::Rename(name, _)) = edit;
        front.retain(|(known, _)| known != name);
        let mut found = false;
        for (_, change) in places.iter().zip(&mut changes).filter(|(field, _)| field.name == *name) {
            match edit {
                // A name that stands twice is set once: readers disagree on which of the two counts.
                Edit::Set(_, json) if !found => {
                    *change = Change { value: Some(json), ..Change::default() };
                }
                Edit::Set(..) | Edit::Remove(_) => change.removed = true,
                Edit::Rename(_, to) => change.key = Some(quoted(to)),
            }
            found = true;
        }
        if let (Edit::Set(name, json), false) = (edit, found) {
            front.push((name, json));
        }
    }
    assemble(body, places, &changes, &front)
}

/// What happens to one field.
#[derive(Clone, Debug, Default)]
struct Change<'a> {
    removed: bool,
    key: Option<Vec<u8>>,
    value: Option<&'a [u8]>,
}

fn assemble(body: &[u8], fields: &[Field], changes: &[Change<'_>], front: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 256);
    let mut at = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
    out.extend_from_slice(&body[..at]);
    let kept = changes.iter().any(|change| !change.removed);
    for (index, (name, json)) in front.iter().enumerate() {
        out.extend_from_slice(&quoted(name));
        out.push(b':');
        out.extend_from_slice(json);
        if kept || index + 1 < front.len() {
            out.push(b',');
        }
    }
    let mut first = true;
    for (index, (field, change)) in fields.iter().zip(changes).enumerate() {
        if change.removed && first {
            // No field stands before it: its comma is the one behind.
            out.extend_from_slice(&body[at..field.key.start]);
            at = fields.get(index + 1).map_or(field.value.end, |next| next.key.start);
            continue;
        }
        if change.removed {
            at = field.value.end;
            continue;
        }
        first = false;
        out.extend_from_slice(&body[at..field.key.start]);
        out.extend_from_slice(change.key.as_deref().unwrap_or(&body[field.key.clone()]));
        out.extend_from_slice(&body[field.key.end..field.value.start]);
        out.extend_from_slice(change.value.unwrap_or(&body[field.value.clone()]));
        at = field.value.end;
    }
    out.extend_from_slice(&body[at..]);
    out
}

/// The name as a JSON string.
pub(crate) fn quoted(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 2);
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(&mut out, name);
    out
}

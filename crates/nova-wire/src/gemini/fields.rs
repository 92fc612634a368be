//! Takes fields out of a JSON object in either spelling, and says where a wrong one stands.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::error::BadRequest;
pub(super) use crate::fields::{unsupported, wrong_type, wrong_value};

/// An object of the client's body, with its place (`contents[2].parts[0]`, empty for the body).
///
/// A field is taken out once it is read, so that what is left is what nobody knows. It may be spelled in
/// either of Google's ways, `functionCall` or `function_call`. A `null` counts as missing everywhere.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) path: String,
    pub(super) fields: Map<String, Value>,
}

/// A value and its place, in the client's spelling.
type Placed<T> = (String, T);

impl Object {
    pub(super) fn new(path: String, value: Value) -> Result<Self, BadRequest> {
        match value {
            Value::Object(fields) => Ok(Self { path, fields }),
            other => Err(wrong_type(path, "an object", &other)),
        }
    }

    /// The place of a field.
    pub(super) fn place(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    pub(super) fn take(&mut self, field: &str) -> Option<Placed<Value>> {
        let name = if self.fields.contains_key(field) { Cow::Borrowed(field) } else { snake(field) };
        let value = self.fields.shift_remove(&*name).filter(|value| !value.is_null())?;
        Some((self.place(&name), value))
    }

    pub(super) fn string(&mut self, field: &str) -> Result<Option<String>, BadRequest> {
        self.typed(field, "a string", |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    pub(super) fn need_string(&mut self, field: &str) -> Result<String, BadRequest> {
        self.string(field)?.ok_or_else(|| self.missing(field))
    }

    pub(super) fn flag(&mut self, field: &str) -> Result<Option<bool>, BadRequest> {
        self.typed(field, "true or false", |value| value.as_bool().ok_or(value))
    }

    pub(super) fn float(&mut self, field: &str) -> Result<Option<f64>, BadRequest> {
        self.typed(field, "a number", |value| value.as_f64().ok_or(value))
    }

    /// A whole number. Google's JSON may have it as a float, and a 64-bit one as a string.
    pub(super) fn whole(&mut self, field: &str) -> Result<Option<i64>, BadRequest> {
        self.typed(field, "a whole number", |value| {
            let float = || value.as_f64().filter(|number| number.fract() == 0.0);
            let text = || value.as_str().and_then(|text| text.parse().ok());
            // The cast saturates, and only whole numbers come this far.
            value.as_i64().or_else(|| float().map(|number| number as i64)).or_else(text).ok_or(value)
        })
    }

    pub(super) fn count(&mut self, field: &str) -> Result<Option<u64>, BadRequest> {
        let place = self.place(field);
        let Some(number) = self.whole(field)? else { return Ok(None) };
        let negative = |_| wrong_value(place, "a whole number that is not negative", &number.to_string());
        u64::try_from(number).map(Some).map_err(negative)
    }

    /// A list, or one item of it: Google's SDKs let either be given.
    pub(super) fn list(&mut self, field: &str) -> Option<Placed<Vec<Value>>> {
        self.take(field).map(|(place, value)| match value {
            Value::Array(list) => (place, list),
            one => (place, vec![one]),
        })
    }

    pub(super) fn object(&mut self, field: &str) -> Result<Option<Self>, BadRequest> {
        self.take(field).map(|(place, value)| Self::new(place, value)).transpose()
    }

    /// Keeps what is left under the name of its place.
    pub(super) fn keep(self, place: &str, extra: &mut Map<String, Value>) {
        for (field, value) in self.fields.into_iter().filter(|(_, value)| !value.is_null()) {
            extra.insert(format!("{place}.{field}"), value);
        }
    }

    pub(super) fn missing(&self, field: &str) -> BadRequest {
        let path = self.place(field);
        BadRequest { message: format!("`{path}` is missing"), path, code: "missing_field" }
    }

    fn typed<T>(
        &mut self,
        field: &str,
        expected: &str,
        read: impl Fn(Value) -> Result<T, Value>,
    ) -> Result<Option<T>, BadRequest> {
        let Some((place, value)) = self.take(field) else { return Ok(None) };
        read(value).map(Some).map_err(|other| wrong_type(place, expected, &other))
    }
}

/// The spelling with underscores.
fn snake(field: &str) -> Cow<'_, str> {
    if !field.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Cow::Borrowed(field);
    }
    let mut name = String::with_capacity(field.len() + 4);
    for letter in field.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    Cow::Owned(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_found_in_either_spelling_and_named_as_it_is_spelled() {
        let mut object =
            Object::new("a".to_owned(), json!({"maxOutputTokens": 3, "top_p": "x", "topK": null, "n": -1}))
                .expect("an object");
        assert_eq!(object.count("maxOutputTokens"), Ok(Some(3)));
        assert_eq!(object.float("topP").map_err(|error| error.path), Err("a.top_p".to_owned()));
        assert_eq!(object.float("topK"), Ok(None));
        assert_eq!(object.count("n").map_err(|error| error.path), Err("a.n".to_owned()));
        assert!(object.fields.is_empty());
    }
}

//! Takes fields out of a JSON object and says where a wrong one stands.

use serde_json::{Map, Value};

use crate::error::BadRequest;

/// An object of the client's body, with its place (`messages[2].content[0]`, empty for the body).
///
/// A field is taken out once it is read, so that what is left is what nobody knows. A `null` counts as
/// missing everywhere: SDKs send it for arguments that were not given.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) path: String,
    pub(crate) fields: Map<String, Value>,
}

impl Object {
    /// A whole body.
    pub(crate) fn body(body: &[u8]) -> Result<Self, BadRequest> {
        Self::new(String::new(), json(body)?)
    }

    pub(crate) fn new(path: String, value: Value) -> Result<Self, BadRequest> {
        match value {
            Value::Object(fields) => Ok(Self { path, fields }),
            other => Err(wrong_type(path, "an object", &other)),
        }
    }

    /// The place of a field.
    pub(crate) fn place(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field).filter(|value| !value.is_null())
    }

    pub(crate) fn string(&mut self, field: &str) -> Result<Option<String>, BadRequest> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(self.place(field), "a string", &other)),
        }
    }

    pub(crate) fn need_string(&mut self, field: &str) -> Result<String, BadRequest> {
        self.string(field)?.ok_or_else(|| self.missing(field))
    }

    pub(crate) fn flag(&mut self, field: &str) -> Result<Option<bool>, BadRequest> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong_type(self.place(field), "true or false", &other)),
        }
    }

    pub(crate) fn float(&mut self, field: &str) -> Result<Option<f64>, BadRequest> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(wrong_type(self.place(field), "a number", &value)),
            },
        }
    }

    pub(crate) fn count(&mut self, field: &str) -> Result<Option<u64>, BadRequest> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => {
                let whole = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0);
                // The cast saturates, and only whole numbers come this far.
                match value.as_u64().or_else(|| whole.map(|number| number as u64)) {
                    Some(count) => Ok(Some(count)),
                    None => Err(wrong_type(self.place(field), "a whole number that is not negative", &value)),
                }
            }
        }
    }

    pub(crate) fn list(&mut self, field: &str) -> Result<Option<Vec<Value>>, BadRequest> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(wrong_type(self.place(field), "an array", &other)),
        }
    }

    pub(crate) fn object(&mut self, field: &str) -> Result<Option<Self>, BadRequest> {
        self.take(field).map(|value| Self::new(self.place(field), value)).transpose()
    }

    pub(crate) fn missing(&self, field: &str) -> BadRequest {
        let path = self.place(field);
        BadRequest { message: format!("`{path}` is missing"), path, code: "missing_field" }
    }
}

pub(crate) fn wrong_type(path: String, expected: &str, found: &Value) -> BadRequest {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    BadRequest {
        message: format!("`{path}` must be {expected}, but it is {found}"),
        path,
        code: "invalid_type",
    }
}

/// A value that is none of those that the field takes.
pub(crate) fn wrong_value(path: String, expected: &str, found: &str) -> BadRequest {
    let mut shown = found;
    if let Some((end, _)) = found.char_indices().nth(64) {
        shown = &found[..end];
    }
    BadRequest {
        message: format!("`{path}` must be {expected}, but it is `{shown}`"),
        path,
        code: "invalid_value",
    }
}

pub(crate) fn unsupported(path: String, what: &str) -> BadRequest {
    BadRequest { message: format!("`{path}`: {what}"), path, code: "unsupported" }
}

/// A result of a tool whose call does not stand before it.
pub(crate) fn no_call(path: String, id: &str) -> BadRequest {
    BadRequest {
        message: format!("`{path}`: no call with the id `{id}` stands before this result"),
        path,
        code: "invalid_value",
    }
}

/// A body as a tree.
pub(crate) fn json(body: &[u8]) -> Result<Value, BadRequest> {
    serde_json::from_slice(body).map_err(|error| BadRequest {
        path: String::new(),
        message: format!("the body is not valid JSON: {error}"),
        code: "invalid_json",
    })
}

//! Values that remember their line, maps that remember their order; the only module that names the YAML
//! reader.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{CatalogError, Problem};

/// A value and the place where it was written.
///
/// The place is known when the value comes out of a YAML document by [`read`] (or by `serde_saphyr`
/// itself), and unknown from any other source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its line, from 1; 0 if unknown.
    pub line: u32,
    /// Its column, from 1, in characters; 0 if unknown.
    pub column: u32,
}

/// The entries of a YAML map, in the order in which they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries<T>(pub Vec<(Located<String>, T)>);

/// Reads one YAML document.
///
/// # Errors
/// The first thing that is not YAML, not of the expected type, unknown, or there twice.
pub fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, CatalogError> {
    serde_saphyr::from_str(text).map_err(|error| CatalogError::from(problem(file, &error)))
}

impl<T> Located<T> {
    /// A value from nowhere.
    pub const fn unknown(value: T) -> Self {
        Self { value, line: 0, column: 0 }
    }

    /// Forgets the place: the value now belongs to another document.
    pub(crate) const fn forget(&mut self) {
        self.line = 0;
        self.column = 0;
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self::unknown(value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let place = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let (line, column) = (place(spanned.referenced.line()), place(spanned.referenced.column()));
        Ok(Self { value: spanned.value, line, column })
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T> Entries<T> {
    /// The entry of this name, whatever the letter case.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.0.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, entry)| entry)
    }

    /// The entry of this name, whatever the letter case.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, entry)| entry)
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Entries_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        std::collections::BTreeMap::<String, T>::json_schema(generator)
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of entries by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

/// The reader's error in our shape: the message without the place that it repeats.
fn problem(file: &str, error: &serde_saphyr::Error) -> Problem {
    let place = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let location = error.location();
    let text = error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    Problem {
        file: file.to_owned(),
        line: location.map_or(0, |at| place(at.line())),
        column: location.map_or(0, |at| place(at.column())),
        path: String::new(),
        message,
        hint: None,
    }
}

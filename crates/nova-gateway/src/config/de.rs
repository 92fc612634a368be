//! A serde deserializer over the tree, whose errors know the node that is wrong.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::problem::{Place, Problem, did_you_mean, either};
use super::tree::{Key, Node, Scalar, Value};

/// By this name, and the first key below, `serde_saphyr::Spanned` asks its deserializer for places.
const SPANNED: &str = "__yaml_spanned";
const SPANNED_KEY: &str = "__serde_saphyr_private_spanned";
/// By this name [`super::raw::OneOrMany`] asks for a single value as a list of one.
pub(super) const ONE_OR_MANY: &str = "__one_or_many";

/// Why a node is not what is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    /// The node, or the key, that is wrong.
    pub(crate) id: Option<u32>,
    pub(crate) problem: Problem,
}

/// Deserializes one node.
#[derive(Clone, Copy)]
pub(crate) struct De<'de>(pub(crate) &'de Node);

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Self { id: None, problem: Problem::nowhere(message) }
    }

    /// The error, at this place unless it knows a closer one.
    fn located(mut self, id: u32, place: Place) -> Self {
        if self.id.is_none() {
            self.id = Some(id);
            self.problem.place = place;
        }
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        match text.split_once("\nhint: ") {
            Some((message, hint)) => {
                let mut wrong = Self::new(message);
                wrong.problem.hint = Some(hint.to_owned());
                wrong
            }
            None => Self::new(text),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {}, found {}", words(&expected.to_string()), name_of(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let mut wrong = Self::new(format!("`{variant}` is not one of the words that may stand here"));
        let all = format!("write {}", either(expected));
        wrong.problem.hint = did_you_mean(variant, expected.iter().copied()).or(Some(all));
        wrong
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mut wrong = Self::new(format!("there is no key `{field}` here"));
        let all = || match expected {
            [] => "nothing may stand here".to_owned(),
            some if some.len() <= 12 => format!("the keys are {}", either(some)),
            _ => "`docs/reference/configuration.md` lists all keys".to_owned(),
        };
        wrong.problem.hint = did_you_mean(field, expected.iter().copied()).or_else(|| Some(all()));
        wrong
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the key `{field}` is missing"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is there twice"))
    }
}

/// What serde and the derive call expectations, in our words.
fn words(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number".into(),
        "i32" | "i64" => "a whole number, which may be negative".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "`true` or `false`".into(),
        "a string" | "a borrowed string" => "a text".into(),
        "a sequence" => "a list".into(),
        _ if expected.starts_with("struct ") => "a map of keys".into(),
        _ if expected.starts_with("enum ") || expected.contains("variant identifier") => "one word".into(),
        other => other.into(),
    }
}

fn name_of(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("`{text}`"),
        Unexpected::Unsigned(number) => format!("`{number}`"),
        Unexpected::Signed(number) => format!("`{number}`"),
        Unexpected::Float(number) => format!("`{number}`"),
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unit => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map | Unexpected::StructVariant | Unexpected::NewtypeVariant => "a map".into(),
        other => other.to_string(),
    }
}

impl<'de> De<'de> {
    /// A scalar as whatever it reads like: unquoted words, numbers and nothings are that, the rest text.
    fn any_scalar<V: Visitor<'de>>(scalar: &Scalar, visitor: V) -> Result<V::Value, Wrong> {
        let text = scalar.text.as_str();
        if !scalar.plain {
            return visitor.visit_str(text);
        }
        if scalar.is_null() {
            return visitor.visit_unit();
        }
        match text {
            "true" | "True" | "TRUE" => return visitor.visit_bool(true),
            "false" | "False" | "FALSE" => return visitor.visit_bool(false),
            _ => {}
        }
        if let Ok(number) = text.parse() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = text.parse() {
            return visitor.visit_i64(number);
        }
        // Not `inf`, `nan` and the like, which Rust would read, too.
        let like_number =
            text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
        match text.parse() {
            Ok(number) if like_number => visitor.visit_f64(number),
            _ => visitor.visit_str(text),
        }
    }

    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.0.value {
            Value::Scalar(scalar) if scalar.is_null() => Err(Wrong::invalid_type(Unexpected::Unit, &visitor)),
            Value::Scalar(scalar) => {
                visitor.visit_str(&scalar.text).map_err(|wrong| without_secret(wrong, scalar))
            }
            Value::List(_) => Err(Wrong::invalid_type(Unexpected::Seq, &visitor)),
            Value::Map(_) => Err(Wrong::invalid_type(Unexpected::Map, &visitor)),
        }
    }

    fn list<V: Visitor<'de>>(items: &'de [Node], visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_seq(Items(items.iter()))
    }

    fn map<V: Visitor<'de>>(entries: &'de [(Key, Node)], visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(Entries { rest: entries.iter(), value: None })
    }
}

/// A message may quote the value that is wrong, but not what a reference stood for.
fn without_secret(wrong: Wrong, scalar: &Scalar) -> Wrong {
    if scalar.filled {
        return Wrong::new("what `${…}` stands for cannot be used here");
    }
    let mut wrong = wrong;
    if !scalar.plain && wrong.problem.hint.is_none() && scalar.text.parse::<f64>().is_ok() {
        wrong.problem.hint = Some("in quotes, a number is a text".into());
    }
    wrong
}

impl<'de> Deserializer<'de> for De<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.0.value {
            Value::Scalar(scalar) => {
                Self::any_scalar(scalar, visitor).map_err(|wrong| without_secret(wrong, scalar))
            }
            Value::List(items) => Self::list(items, visitor),
            Value::Map(entries) => Self::map(entries, visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        // A key with nothing behind it, all its items commented out.
        if self.0.is_null() { Self::list(&[], visitor) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_null() { Self::map(&[], visitor) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        // A derived struct would also read itself from a list.
        match &self.0.value {
            Value::List(_) => Err(Wrong::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match (name, &self.0.value) {
            (SPANNED, _) => visitor.visit_newtype_struct(Spanned(self.0)),
            (ONE_OR_MANY, Value::Scalar(scalar)) if !scalar.is_null() => {
                Self::list(std::slice::from_ref(self.0), visitor)
            }
            (ONE_OR_MANY, _) => self.deserialize_seq(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.0.value {
            Value::Scalar(scalar) if !scalar.is_null() => visitor
                .visit_enum(StrDeserializer::<Wrong>::new(&scalar.text))
                .map_err(|wrong| without_secret(wrong, scalar)),
            Value::Map(entries) if entries.len() == 1 => visitor.visit_enum(Variant(&entries[0])),
            _ => Err(Wrong::new("expected one word, or one key with a value")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct identifier
    }
}

/// The items of a list.
struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(node) = self.0.next() else { return Ok(None) };
        seed.deserialize(De(node)).map(Some).map_err(|wrong| wrong.located(node.id, node.place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The entries of a map.
struct Entries<'de> {
    rest: std::slice::Iter<'de, (Key, Node)>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(KeyDe(key)).map(Some).map_err(|wrong| wrong.located(key.id, key.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let node = self.value.take().ok_or_else(|| Wrong::new("a value without a key"))?;
        seed.deserialize(De(node)).map_err(|wrong| wrong.located(node.id, node.place))
    }
}

/// A key, always a text.
#[derive(Clone, Copy)]
struct KeyDe<'de>(&'de Key);

impl<'de> Deserializer<'de> for KeyDe<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(&self.0.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match name {
            SPANNED => visitor.visit_newtype_struct(SpannedKey(self.0)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(StrDeserializer::<Wrong>::new(&self.0.text))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// `key: value` as a variant with content.
struct Variant<'de>(&'de (Key, Node));

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Wrong;
    type Variant = De<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, De<'de>), Wrong> {
        let (key, value) = self.0;
        let variant = seed.deserialize(KeyDe(key)).map_err(|wrong| wrong.located(key.id, key.place))?;
        Ok((variant, De(value)))
    }
}

impl<'de> VariantAccess<'de> for De<'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Err(Wrong::new("this word takes no value").located(self.0.id, self.0.place))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(self).map_err(|wrong| wrong.located(self.0.id, self.0.place))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor).map_err(|wrong| wrong.located(self.0.id, self.0.place))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_map(visitor).map_err(|wrong| wrong.located(self.0.id, self.0.place))
    }
}

/// A node in the shape in which `serde_saphyr::Spanned` reads itself.
struct Spanned<'de>(&'de Node);
/// A key in that shape.
struct SpannedKey<'de>(&'de Key);

impl<'de> Deserializer<'de> for Spanned<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(SpannedFields { value: De(self.0), place: self.0.place, next: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for SpannedKey<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(SpannedFields { value: KeyDe(self.0), place: self.0.place, next: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The marker, the value, and where it is used and defined, which are the same place here.
struct SpannedFields<D> {
    value: D,
    place: Place,
    next: u8,
}

impl<'de, D: Deserializer<'de, Error = Wrong> + Copy> MapAccess<'de> for SpannedFields<D> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        const FIELDS: [&str; 4] = [SPANNED_KEY, "value", "referenced", "defined"];
        let Some(field) = FIELDS.get(usize::from(self.next)) else { return Ok(None) };
        self.next += 1;
        seed.deserialize(StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        match self.next {
            1 => seed.deserialize(true.into_deserializer()),
            2 => seed.deserialize(self.value),
            _ => {
                let fields = [("line", self.place.line), ("column", self.place.column)];
                seed.deserialize(de::value::MapDeserializer::new(fields.into_iter()))
            }
        }
    }
}

//! A YAML document as a tree in which every node knows its place.
//!
//! The typed reader ([`super::de`]) works on this tree instead of on the text, for three reasons: a
//! `${NAME}` is filled in after parsing, so no value can change the document's shape; a wrong node can be
//! cut out and reading go on, so all errors are found at once; and every later check can point at a line.

use std::collections::HashMap;
use std::mem;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};

use super::problem::{Place, Problem};

/// Nodes that a document may have, aliases counted as what they stand for. A hostile document of a few
/// hundred bytes could otherwise stand for billions.
const MAX_NODES: usize = 200_000;
/// How deep lists and maps may be nested.
const MAX_DEPTH: usize = 64;

/// A node of the document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Unlike any other node's, but for copies that an alias made.
    pub(crate) id: u32,
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A text, and what may be read into it.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Written without quotes, so that `5` is a number and `null` is nothing.
    pub(crate) plain: bool,
    /// Holds what a reference stood for, and so must not be shown.
    pub(crate) filled: bool,
}

/// The key of a map's entry.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: u32,
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// Reads a document; a document with nothing in it is `None`. What is wrong with the YAML itself ends
/// the reading, what this module does not take is added to `problems` and left out.
pub(crate) fn read(text: &str, problems: &mut Vec<Problem>) -> Result<Option<Node>, Problem> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder {
        root: None,
        documents: 0,
        stack: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        ids: 0,
        problems,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| {
            let at = error.marker();
            let problem =
                Problem::at(place_of(at.line(), at.col()), format!("this is not YAML: {}", error.info()));
            let line = text.lines().nth(at.line().saturating_sub(1)).unwrap_or_default();
            let is_bare = line.contains("${") && line.find('{') < line.find("${");
            if is_bare { problem.hint("within `{…}`, write `\"${NAME}\"` in quotes") } else { problem }
        })?;
        builder.event(event, place(&span, text))?;
    }
    Ok(builder.root)
}

impl Node {
    /// Whether this is an unquoted nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The keys on the way from this map to the node, or the key, of this id; the key itself not included.
    pub(crate) fn path(&self, id: u32) -> Vec<&str> {
        let mut path = Vec::new();
        let mut at = self;
        while let Value::Map(entries) = &at.value
            && let Some((key, value)) = entries.iter().find(|(_, value)| value.holds(id))
        {
            path.push(key.text.as_str());
            at = value;
        }
        path
    }

    fn holds(&self, id: u32) -> bool {
        self.id == id
            || match &self.value {
                Value::Scalar(_) => false,
                Value::List(items) => items.iter().any(|item| item.holds(id)),
                Value::Map(entries) => entries.iter().any(|(key, value)| key.id == id || value.holds(id)),
            }
    }

    /// Removes the node of this id, as a list's item or with its key; the map that it was in.
    pub(crate) fn cut(&mut self, id: u32) -> Cut {
        let mut cut = Cut::default();
        self.cut_into(id, &mut cut);
        cut
    }

    fn cut_into(&mut self, id: u32, cut: &mut Cut) {
        let own = self.id;
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::List(items) => {
                let before = items.len();
                items.retain(|item| item.id != id);
                cut.done |= items.len() < before;
                items.iter_mut().for_each(|item| item.cut_into(id, cut));
            }
            Value::Map(entries) => {
                let before = entries.len();
                entries.retain(|(key, value)| key.id != id && value.id != id);
                if entries.len() < before {
                    cut.done = true;
                    cut.from.push(own);
                }
                entries.iter_mut().for_each(|(_, value)| value.cut_into(id, cut));
            }
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|(_, value)| value.size()).sum(),
        }
    }

    /// Calls `visit` with every scalar that is a value, its id and its place.
    pub(crate) fn scalars(&mut self, visit: &mut impl FnMut(u32, Place, &mut Scalar)) {
        match &mut self.value {
            Value::Scalar(scalar) => visit(self.id, self.place, scalar),
            Value::List(items) => items.iter_mut().for_each(|item| item.scalars(visit)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| value.scalars(visit)),
        }
    }

    /// The whole place of the scalar or key that begins here, and the scalar.
    pub(crate) fn at(&self, line: u32, column: u32) -> Option<(Place, Option<&Scalar>)> {
        let begins = |place: Place| place.line == line && place.column == column;
        match &self.value {
            Value::Scalar(scalar) => begins(self.place).then_some((self.place, Some(scalar))),
            Value::List(items) => items.iter().find_map(|item| item.at(line, column)),
            Value::Map(entries) => entries.iter().find_map(|(key, value)| {
                if begins(key.place) { Some((key.place, None)) } else { value.at(line, column) }
            }),
        }
    }
}

/// What [`Node::cut`] removed.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// Whether anything was there to remove.
    pub(crate) done: bool,
    /// The maps that lost an entry by it.
    pub(crate) from: Vec<u32>,
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        self.plain && !self.filled && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

fn place_of(line: usize, column: usize) -> Place {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place { line: number(line), column: number(column).saturating_add(1), width: 1 }
}

/// A span as a place; what goes on over a line's end is cut there.
fn place(span: &Span, text: &str) -> Place {
    let source = span.slice(text).unwrap_or_default();
    let width = source.lines().next().unwrap_or_default().trim_end().chars().count();
    Place {
        width: u32::try_from(width).unwrap_or(u32::MAX).max(1),
        ..place_of(span.start.line(), span.start.col())
    }
}

/// A list or map under way.
enum Frame {
    List { id: u32, place: Place, anchor: usize, items: Vec<Node> },
    Map { id: u32, place: Place, anchor: usize, entries: Vec<(Key, Node)>, key: Option<Option<Key>> },
}

struct Builder<'p> {
    root: Option<Node>,
    documents: usize,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    ids: u32,
    problems: &'p mut Vec<Problem>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problem::at(place, "a second document begins here")
                        .hint("a configuration is one document: leave out `---`"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_tagged(tag.as_deref(), place);
                let value = Value::Scalar(Scalar { text: text.into_owned(), plain, filled: false });
                let node = Node { id: self.next_id(place)?, place, value };
                self.add(node, anchor, true);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.is_tagged(tag.as_deref(), place);
                let id = self.next_id(place)?;
                self.open(Frame::List { id, place, anchor, items: Vec::new() }, place)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.is_tagged(tag.as_deref(), place);
                let id = self.next_id(place)?;
                self.open(Frame::Map { id, place, anchor, entries: Vec::new(), key: None }, place)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, place)?,
            // The options switch the others off, or they say nothing of the content.
            _ => {}
        }
        Ok(())
    }

    fn next_id(&mut self, place: Place) -> Result<u32, Problem> {
        self.ids += 1;
        self.grow(1, place)?;
        Ok(self.ids)
    }

    fn grow(&mut self, nodes: usize, place: Place) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(Problem::at(place, format!("the document has more than {MAX_NODES} values")));
        }
        Ok(())
    }

    fn open(&mut self, frame: Frame, place: Place) -> Result<(), Problem> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Problem::at(place, format!("values are nested more than {MAX_DEPTH} deep")));
        }
        self.stack.push(frame);
        Ok(())
    }

    /// Whether a tag makes a plain scalar a text; other tags are refused.
    fn is_tagged(&mut self, tag: Option<&Tag>, place: Place) -> bool {
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() {
            let problem = Problem::at(place, format!("the tag `{}` means nothing here", tag.original()));
            self.problems.push(problem.hint("write the value without it"));
        }
        tag.core_suffix() == Some("str")
    }

    fn close(&mut self) {
        match self.stack.pop() {
            Some(Frame::List { id, place, anchor, items }) => {
                self.add(Node { id, place, value: Value::List(items) }, anchor, false);
            }
            Some(Frame::Map { id, place, anchor, entries, .. }) => {
                self.add(Node { id, place, value: Value::Map(entries) }, anchor, false);
            }
            None => {}
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Problem> {
        match self.anchors.get(&anchor).cloned() {
            Some(node) => {
                self.grow(node.size(), place)?;
                let is_scalar = matches!(node.value, Value::Scalar(_));
                self.add(node, 0, is_scalar);
                Ok(())
            }
            // The anchor is known to the parser and its value not complete: it contains itself.
            None => Err(Problem::at(place, "this alias stands inside of what it stands for")),
        }
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize, is_scalar: bool) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        match frame {
            Frame::List { items, .. } => items.push(node),
            Frame::Map { key: key @ None, entries, .. } => {
                let (taken, problem) = as_key(node, is_scalar, entries);
                *key = Some(taken);
                self.problems.extend(problem);
            }
            Frame::Map { key, entries, .. } => {
                if let Some(key) = mem::take(key).flatten() {
                    entries.push((key, node));
                }
            }
        }
    }
}

/// A node as the key of the entry that follows; `None` leaves the entry out.
fn as_key(node: Node, is_scalar: bool, entries: &[(Key, Node)]) -> (Option<Key>, Option<Problem>) {
    let Node { id, place, value } = node;
    let text = match value {
        Value::Scalar(scalar) if is_scalar => scalar.text,
        _ => return (None, Some(Problem::at(place, "a key must be a text"))),
    };
    if text == "<<" {
        let problem = Problem::at(place, "merge keys are not supported").hint("write the entries out");
        return (None, Some(problem));
    }
    if let Some((first, _)) = entries.iter().find(|(key, _)| key.text == text) {
        let problem = Problem::at(place, format!("`{text}` is there twice"));
        return (None, Some(problem.hint(format!("it is already on line {}", first.place.line))));
    }
    (Some(Key { id, place, text }), None)
}

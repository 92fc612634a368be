//! A condition whose names and types are right, and how its names and types are made sure of.

use regex::{Regex, RegexBuilder};

use super::lex::Order;
use super::parse::{How, Operand, Tree, Value};
use super::vars::{self, Flag, Number, Text, Variable};
use super::{Fault, OfModel, Span};
use crate::facts::Facts;

/// What a compiled pattern may take in memory, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 18;

/// A condition that is right.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Formula {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Test),
}

/// One comparison. With a value that is not known, none of them holds, `!=` and `not in` included.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Number {
        of: Number,
        order: Order,
        value: f64,
    },
    Numbers {
        left: Number,
        order: Order,
        right: Number,
    },
    NumberIn {
        of: Number,
        within: bool,
        values: Box<[f64]>,
    },
    Text {
        of: Text,
        equal: bool,
        value: Box<str>,
    },
    Texts {
        left: Text,
        equal: bool,
        right: Text,
    },
    TextIn {
        of: Text,
        within: bool,
        values: Box<[Box<str>]>,
    },
    /// A text that is a number.
    Written {
        of: Text,
        order: Order,
        value: f64,
    },
    Matches {
        of: Text,
        pattern: Box<Pattern>,
    },
    Contains {
        of: Text,
        part: Box<str>,
    },
    Flag {
        of: Flag,
        is: bool,
    },
    Always,
}

/// A regular expression that matches in linear time, whatever it is.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Test {
    /// Whether it holds. Does not allocate.
    pub(super) fn holds(&self, facts: &Facts<'_>, of_model: &OfModel) -> bool {
        let number = |of: Number| of.read(facts, of_model);
        match self {
            Self::Number { of, order, value } => number(*of).is_some_and(|is| order.holds(is, *value)),
            Self::Numbers { left, order, right } => {
                number(*left).zip(number(*right)).is_some_and(|(left, right)| order.holds(left, right))
            }
            Self::NumberIn { of, within, values } => {
                number(*of).is_some_and(|is| values.contains(&is) == *within)
            }
            Self::Text { of, equal, value } => of.read(facts).is_some_and(|is| (is == &**value) == *equal),
            Self::Texts { left, equal, right } => {
                left.read(facts).zip(right.read(facts)).is_some_and(|(left, right)| (left == right) == *equal)
            }
            Self::TextIn { of, within, values } => {
                of.read(facts).is_some_and(|is| values.iter().any(|value| &**value == is) == *within)
            }
            Self::Written { of, order, value } => {
                let written = of.read(facts).and_then(|is| is.trim().parse::<f64>().ok());
                written.is_some_and(|is| order.holds(is, *value))
            }
            Self::Matches { of, pattern } => of.read(facts).is_some_and(|is| pattern.0.is_match(is)),
            Self::Contains { of, part } => of.read(facts).is_some_and(|is| is.contains(&**part)),
            Self::Flag { of, is } => of.read(facts, of_model) == Some(*is),
            Self::Always => true,
        }
    }
}

/// The formula of a tree; `None` where a part of it is wrong, which is noted.
pub(super) fn check(tree: &Tree, faults: &mut Vec<Fault>) -> Option<Formula> {
    // Every part is looked at, so that all that is wrong is found at once.
    let mut each = |parts: &[Tree]| -> Option<Vec<Formula>> {
        let checked: Vec<Option<Formula>> = parts.iter().map(|part| check(part, faults)).collect();
        checked.into_iter().collect()
    };
    match tree {
        Tree::All(parts) => each(parts).map(Formula::All),
        Tree::Any(parts) => each(parts).map(Formula::Any),
        Tree::Not(inner) => check(inner, faults).map(|inner| Formula::Not(Box::new(inner))),
        Tree::Alone(operand) => alone(operand, faults),
        Tree::Compared { left, how, right } => compared(left, *how, right, faults).map(Formula::Test),
        Tree::Bad => None,
    }
}

/// A name that is a condition of its own.
fn alone(operand: &Operand, faults: &mut Vec<Fault>) -> Option<Formula> {
    let span = operand.span.clone();
    let fault = match &operand.is {
        Value::Truth(true) => return Some(Formula::Test(Test::Always)),
        Value::Truth(false) => Fault::new("this never holds").hint("leave the rule out"),
        Value::Name(name) => match vars::find(name) {
            Ok(Variable::Flag(of)) => return Some(Formula::Test(Test::Flag { of, is: true })),
            Ok(Variable::Text(_)) => Fault::new(format!("`{name}` is a text and no condition"))
                .hint(format!("compare it, as in `{name} == \"…\"`")),
            Ok(Variable::Number(_)) => Fault::new(format!("`{name}` is a number and no condition"))
                .hint(format!("compare it, as in `{name} > 10`")),
            Ok(Variable::Time(_)) => Fault::new(format!("`{name}` is a time and no condition"))
                .hint(format!("compare it, as in `{name} < 500ms`")),
            Err(fault) => fault,
        },
        Value::Bad => return None,
        _ => Fault::new("a value alone is no condition").hint("compare a name with it"),
    };
    faults.push(fault.at(span));
    None
}

/// A side of a comparison whose name is known.
enum Side<'o> {
    Variable(&'o str, Variable),
    Written(&'o Value),
}

fn side<'o>(operand: &'o Operand, other: &Operand, faults: &mut Vec<Fault>) -> Option<Side<'o>> {
    match &operand.is {
        Value::Bad => None,
        Value::Name(name) => match vars::find(name) {
            Ok(variable) => Some(Side::Variable(name, variable)),
            Err(fault) => {
                // A text whose quotes were forgotten is the likeliest where a text is compared.
                let is_text = matches!(&other.is, Value::Name(other)
                    if matches!(vars::find(other), Ok(Variable::Text(_))));
                let fault =
                    if is_text { fault.hint(format!("texts stand in quotes: `\"{name}\"`")) } else { fault };
                faults.push(fault.at(operand.span.clone()));
                None
            }
        },
        value => Some(Side::Written(value)),
    }
}

fn compared(left: &Operand, how: How, right: &Operand, faults: &mut Vec<Fault>) -> Option<Test> {
    let sides = (side(left, right, faults), side(right, left, faults));
    let (Some(first), Some(second)) = sides else { return None };
    let whole = left.span.start..right.span.end;
    let (result, span) = match (how, first, second) {
        (_, Side::Written(_), Side::Written(_)) => {
            let fault = Fault::new("nothing of the request stands in this comparison");
            (Err(fault.hint("compare a name with a value")), whole)
        }
        (How::Order(order), Side::Variable(name, variable), Side::Written(value)) => {
            (ordered((name, variable), order, value), right.span.clone())
        }
        (How::Order(order), Side::Written(value), Side::Variable(name, variable)) => {
            (ordered((name, variable), order.turned(), value), left.span.clone())
        }
        (How::Order(order), Side::Variable(name, one), Side::Variable(other_name, other)) => {
            (both((name, one), order, (other_name, other)), whole)
        }
        (How::In | How::NotIn, Side::Variable(name, variable), Side::Written(Value::List(items))) => {
            return listed((name, &variable), how == How::In, items, faults);
        }
        (How::In | How::NotIn, ..) => {
            let fault = Fault::new("`in` stands between a name and a list");
            (Err(fault.hint("write it as `task in [\"chat\", \"creative\"]`")), whole)
        }
        (
            How::Matches | How::Contains,
            Side::Variable(_, Variable::Text(of)),
            Side::Written(Value::Text(text)),
        ) => (searched(of, how, text), right.span.clone()),
        (How::Matches | How::Contains, ..) => {
            let word = if how == How::Matches { "matches" } else { "contains" };
            let fault = Fault::new(format!("`{word}` stands between the name of a text and a text"));
            (Err(fault.hint(format!("write it as `header.user-agent {word} \"claude\"`"))), whole)
        }
    };
    result.map_err(|fault| faults.push(fault.at(span))).ok()
}

/// A name compared with what is written.
fn ordered((name, variable): (&str, Variable), order: Order, value: &Value) -> Result<Test, Fault> {
    if matches!(value, Value::List(_)) {
        return Err(Fault::new("a list is compared by `in`").hint(format!("write `{name} in […]`")));
    }
    let equal = match order {
        Order::Equal => Some(true),
        Order::Unequal => Some(false),
        _ => None,
    };
    match (variable, value) {
        (Variable::Number(of), Value::Number(value)) | (Variable::Time(of), Value::Time(value)) => {
            Ok(Test::Number { of, order, value: *value })
        }
        (Variable::Number(_), Value::Text(text)) if text.parse::<f64>().is_ok() => {
            Err(Fault::new(format!("`{name}` is a number and `\"{text}\"` a text"))
                .hint(format!("write `{text}`")))
        }
        (Variable::Number(_), Value::Time(_)) => {
            Err(Fault::new(format!("`{name}` is a number and no time")).hint("write it without a unit"))
        }
        (Variable::Number(_), _) => Err(Fault::new(format!("`{name}` is a number"))
            .hint(format!("write it as `{name} {} 10`", order.as_str()))),
        (Variable::Time(_), Value::Number(number)) => Err(Fault::new(format!("`{name}` is a time"))
            .hint(format!("write the unit: `{number}ms` or `{number}s`"))),
        (Variable::Time(_), _) => Err(Fault::new(format!("`{name}` is a time"))
            .hint(format!("write it as `{name} {} 500ms`", order.as_str()))),
        (Variable::Text(of), Value::Text(text)) => {
            let Some(equal) = equal else {
                return Err(Fault::new(format!("`{name}` is a text, and texts have no order"))
                    .hint("write `==`, `!=`, `in`, `contains` or `matches`"));
            };
            can_be(&of, name, text)?;
            let meant = meant(&of, text);
            if meant.len() > 1 {
                return Ok(Test::TextIn { of, within: equal, values: meant });
            }
            Ok(Test::Text { of, equal, value: text.as_str().into() })
        }
        (Variable::Text(of), Value::Number(value)) if of.is_open() => {
            Ok(Test::Written { of, order, value: *value })
        }
        (Variable::Text(of), Value::Truth(truth)) if of.is_open() && equal.is_some() => {
            let value = if *truth { "true" } else { "false" };
            Ok(Test::Text { of, equal: equal == Some(true), value: value.into() })
        }
        (Variable::Text(_), _) => Err(Fault::new(format!("`{name}` is a text"))
            .hint(format!("write it as `{name} == \"…\"`, in quotes"))),
        (Variable::Flag(of), Value::Truth(truth)) if equal.is_some() => {
            Ok(Test::Flag { of, is: *truth == (equal == Some(true)) })
        }
        (Variable::Flag(_), _) => {
            Err(Fault::new(format!("`{name}` is a yes or no"))
                .hint(format!("write `{name}` or `not {name}`")))
        }
    }
}

/// The values that a text written in a rule stands for: tasks have names that mean the same or that take in
/// others.
fn meant(of: &Text, text: &str) -> Box<[Box<str>]> {
    match of {
        Text::Task => crate::task::meant(text).into_iter().map(Into::into).collect(),
        _ => Box::new([text.into()]),
    }
}

/// Two names compared.
fn both(
    (name, one): (&str, Variable),
    order: Order,
    (other_name, other): (&str, Variable),
) -> Result<Test, Fault> {
    let equal = matches!(order, Order::Equal);
    match (one, other) {
        (Variable::Number(left), Variable::Number(right)) | (Variable::Time(left), Variable::Time(right)) => {
            Ok(Test::Numbers { left, order, right })
        }
        (Variable::Text(left), Variable::Text(right)) if equal || order == Order::Unequal => {
            Ok(Test::Texts { left, equal, right })
        }
        _ => {
            Err(Fault::new(format!("`{name}` and `{other_name}` cannot be compared by `{}`", order.as_str()))
                .hint("compare two numbers, or two texts by `==` or `!=`"))
        }
    }
}

/// A name compared with a list; all of its items are looked at.
fn listed(
    (name, variable): (&str, &Variable),
    within: bool,
    items: &[Operand],
    faults: &mut Vec<Fault>,
) -> Option<Test> {
    let before = faults.len();
    let (mut numbers, mut texts): (Vec<f64>, Vec<Box<str>>) = (Vec::new(), Vec::new());
    for item in items {
        let right = match (variable, &item.is) {
            (Variable::Number(_), Value::Number(number)) | (Variable::Time(_), Value::Time(number)) => {
                numbers.push(*number);
                Ok(())
            }
            (Variable::Text(of), Value::Text(text)) => {
                texts.extend(meant(of, text));
                can_be(of, name, text)
            }
            (_, Value::Bad) => Ok(()),
            (Variable::Number(_), _) => Err(Fault::new(format!("`{name}` is a number")).hint("list numbers")),
            (Variable::Time(_), _) => {
                Err(Fault::new(format!("`{name}` is a time")).hint("list times such as `500ms`"))
            }
            (Variable::Text(_), Value::Name(word)) => Err(Fault::new(format!("`{name}` is a text"))
                .hint(format!("texts stand in quotes: `\"{word}\"`"))),
            (Variable::Text(_), _) => {
                Err(Fault::new(format!("`{name}` is a text")).hint("list texts, in quotes"))
            }
            // Said once, below.
            (Variable::Flag(_), _) => Ok(()),
        };
        faults.extend(right.err().map(|fault| fault.at(item.span.clone())));
    }
    match variable {
        _ if faults.len() > before || items.iter().any(|item| item.is == Value::Bad) => None,
        Variable::Number(of) | Variable::Time(of) => {
            Some(Test::NumberIn { of: *of, within, values: numbers.into() })
        }
        Variable::Text(of) => Some(Test::TextIn { of: of.clone(), within, values: texts.into() }),
        Variable::Flag(_) => {
            let span: Span =
                items.first().map_or(0, |item| item.span.start)..items.last().map_or(0, |item| item.span.end);
            let fault = Fault::new(format!("`{name}` is a yes or no"));
            faults.push(fault.hint(format!("write `{name}` or `not {name}`")).at(span));
            None
        }
    }
}

/// A text in which something is looked for.
fn searched(of: Text, how: How, text: &str) -> Result<Test, Fault> {
    if how == How::Contains {
        return Ok(Test::Contains { of, part: text.into() });
    }
    match RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES).build() {
        Ok(regex) => Ok(Test::Matches { of, pattern: Box::new(Pattern(regex)) }),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err(Fault::new("this regular expression is too large").hint("write a simpler one"))
        }
        // The last line of the crate's message says what is wrong, those above draw it.
        Err(error) => {
            let error = error.to_string();
            let said = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Err(Fault::new(format!("this is no regular expression: {said}")).hint(
                "docs.rs/regex#syntax lists what there is; it has no look-around and no back-references",
            ))
        }
    }
}

/// Whether a text can have this value.
fn can_be(of: &Text, name: &str, text: &str) -> Result<(), Fault> {
    match of.values() {
        Some(values) if !values.contains(&text) => {
            let list: Vec<String> = values.iter().map(|value| format!("`\"{value}\"`")).collect();
            let fault = Fault::new(format!("`{name}` is never `\"{text}\"`"));
            Err(fault.hint(format!("write one of {}", list.join(", "))))
        }
        _ => Ok(()),
    }
}

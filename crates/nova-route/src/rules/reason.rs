//! What follows from a condition, as far as simple reasoning shows it. What is not shown may still be so:
//! a rule is called unreachable only where it surely is.

use super::formula::{Formula, Test};
use super::lex::Order;
use super::vars::{Flag, Number};

/// Whether `one` holds in no case in which `other` does not.
pub(super) fn implies(one: &Formula, other: &Formula) -> bool {
    if one == other {
        return true;
    }
    match (one, other) {
        (_, Formula::Test(Test::Always)) => true,
        (Formula::Any(parts), _) => parts.iter().all(|part| implies(part, other)),
        (_, Formula::All(parts)) => parts.iter().all(|part| implies(one, part)),
        (Formula::All(parts), _) if parts.iter().any(|part| implies(part, other)) => true,
        (_, Formula::Any(parts)) => parts.iter().any(|part| implies(one, part)),
        (Formula::Not(one), Formula::Not(other)) => implies(other, one),
        (Formula::Test(one), Formula::Test(other)) => test_implies(one, other),
        _ => false,
    }
}

/// Whether a condition holds for no request.
pub(super) fn is_never(formula: &Formula) -> bool {
    match formula {
        Formula::Any(parts) => parts.iter().all(is_never),
        Formula::Not(inner) => **inner == Formula::Test(Test::Always),
        Formula::Test(_) => are_never(std::slice::from_ref(formula)),
        Formula::All(parts) => parts.iter().any(is_never) || are_never(parts),
    }
}

/// The number that a value is at least where the condition holds.
pub(super) fn at_least(formula: &Formula, of: Number) -> f64 {
    let below = of.bounds().0;
    match formula {
        Formula::All(parts) => parts.iter().map(|part| at_least(part, of)).fold(below, f64::max),
        Formula::Any(parts) => parts.iter().map(|part| at_least(part, of)).fold(f64::INFINITY, f64::min),
        Formula::Test(test) => match Range::of(test) {
            Some((number, range)) if number == of => range.low.max(below),
            _ => below,
        },
        Formula::Not(_) => below,
    }
}

/// Whether something is so wherever the condition holds.
pub(super) fn demands(formula: &Formula, flag: Flag) -> bool {
    match formula {
        Formula::All(parts) => parts.iter().any(|part| demands(part, flag)),
        Formula::Any(parts) => parts.iter().all(|part| demands(part, flag)),
        Formula::Test(test) => *test == Test::Flag { of: flag, is: true },
        Formula::Not(_) => false,
    }
}

/// Whether these parts cannot hold together.
fn are_never(parts: &[Formula]) -> bool {
    let mut flat = Vec::new();
    flatten(parts, &mut flat);
    let denied = flat.iter().filter_map(|part| match part {
        Formula::Not(inner) => Some(&**inner),
        _ => None,
    });
    for no in denied {
        if flat.iter().any(|part| implies(part, no)) {
            return true;
        }
    }
    let tests: Vec<&Test> = flat
        .iter()
        .filter_map(|part| match part {
            Formula::Test(test) => Some(test),
            _ => None,
        })
        .collect();
    for (index, test) in tests.iter().enumerate() {
        if let Some((number, _)) = Range::of(test) {
            let ranges = tests[index..].iter().filter_map(|test| Range::of(test));
            let together = ranges
                .filter(|(other, _)| *other == number)
                .fold(Range::all_of(number), |range, (_, other)| range.within(other));
            if together.is_empty() {
                return true;
            }
        }
        if tests[index..].iter().any(|other| contradicts(test, other)) {
            return true;
        }
    }
    false
}

fn flatten<'f>(parts: &'f [Formula], flat: &mut Vec<&'f Formula>) {
    for part in parts {
        match part {
            Formula::All(inner) => flatten(inner, flat),
            part => flat.push(part),
        }
    }
}

fn test_implies(one: &Test, other: &Test) -> bool {
    if let (Some((number, inner)), Some((other, outer))) = (Range::of(one), Range::of(other)) {
        return number == other && Range::all_of(number).within(inner).is_inside(outer);
    }
    if let Test::NumberIn { of, within: true, values } = one {
        let each =
            |value: &f64| test_implies(&Test::Number { of: *of, order: Order::Equal, value: *value }, other);
        return !values.is_empty() && values.iter().all(each);
    }
    if let (Test::Number { of, order: Order::Equal, value }, Test::NumberIn { of: other, within, values }) =
        (one, other)
    {
        return of == other && values.contains(value) == *within;
    }
    match (Words::of(one), Words::of(other)) {
        (Some(one), Some(other)) => one.text == other.text && one.is_inside(&other),
        _ => false,
    }
}

fn contradicts(one: &Test, other: &Test) -> bool {
    match (one, other) {
        (Test::Flag { of, is }, Test::Flag { of: other, is: other_is }) => of == other && is != other_is,
        (Test::NumberIn { of, within: true, values }, test)
        | (test, Test::NumberIn { of, within: true, values }) => {
            let range = Range::of(test).filter(|(number, _)| number == of);
            range.is_some_and(|(_, range)| !values.iter().any(|value| range.holds(*value)))
        }
        _ => match (Words::of(one), Words::of(other)) {
            (Some(one), Some(other)) => one.text == other.text && one.excludes(&other),
            _ => false,
        },
    }
}

/// The numbers between two, but for one.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: f64,
    /// Whether the bound itself is not among them.
    low_open: bool,
    high: f64,
    high_open: bool,
    except: Option<f64>,
}

impl Range {
    fn of(test: &Test) -> Option<(Number, Self)> {
        let Test::Number { of, order, value } = *test else { return None };
        let all = Self {
            low: f64::NEG_INFINITY,
            low_open: false,
            high: f64::INFINITY,
            high_open: false,
            except: None,
        };
        let range = match order {
            Order::Equal => Self { low: value, high: value, ..all },
            Order::Unequal => Self { except: Some(value), ..all },
            Order::Less => Self { high: value, high_open: true, ..all },
            Order::AtMost => Self { high: value, ..all },
            Order::Greater => Self { low: value, low_open: true, ..all },
            Order::AtLeast => Self { low: value, ..all },
        };
        Some((of, range))
    }

    fn all_of(number: Number) -> Self {
        let (low, high) = number.bounds();
        Self { low, low_open: false, high, high_open: false, except: None }
    }

    /// The numbers that are in both. One exception is enough to keep: the other is forgotten, so that
    /// emptiness is never claimed wrongly.
    #[expect(clippy::float_cmp, reason = "equal bounds are those that were written alike")]
    fn within(self, other: Self) -> Self {
        let (low, low_open) = match (self.low, other.low) {
            (one, two) if one == two => (one, self.low_open || other.low_open),
            (one, two) if one > two => (one, self.low_open),
            (_, two) => (two, other.low_open),
        };
        let (high, high_open) = match (self.high, other.high) {
            (one, two) if one == two => (one, self.high_open || other.high_open),
            (one, two) if one < two => (one, self.high_open),
            (_, two) => (two, other.high_open),
        };
        Self { low, low_open, high, high_open, except: self.except.or(other.except) }
    }

    #[expect(clippy::float_cmp, reason = "equal bounds are those that were written alike")]
    fn is_empty(self) -> bool {
        self.low > self.high
            || (self.low == self.high && (self.low_open || self.high_open || self.except == Some(self.low)))
    }

    #[expect(clippy::float_cmp, reason = "equal bounds are those that were written alike")]
    fn is_inside(self, outer: Self) -> bool {
        let above = self.low > outer.low || (self.low == outer.low && (self.low_open || !outer.low_open));
        let below =
            self.high < outer.high || (self.high == outer.high && (self.high_open || !outer.high_open));
        above && below && outer.except.is_none_or(|gap| !self.holds(gap))
    }

    fn holds(self, value: f64) -> bool {
        let above = if self.low_open { value > self.low } else { value >= self.low };
        let below = if self.high_open { value < self.high } else { value <= self.high };
        above && below && self.except != Some(value)
    }
}

/// What a test says of a text: that it is one of some words, or none of them.
struct Words<'t> {
    text: &'t super::vars::Text,
    within: bool,
    words: Vec<&'t str>,
}

impl<'t> Words<'t> {
    fn of(test: &'t Test) -> Option<Self> {
        match test {
            Test::Text { of, equal, value } => Some(Self { text: of, within: *equal, words: vec![value] }),
            Test::TextIn { of, within, values } => {
                Some(Self { text: of, within: *within, words: values.iter().map(|word| &**word).collect() })
            }
            _ => None,
        }
    }

    fn is_inside(&self, outer: &Self) -> bool {
        match (self.within, outer.within) {
            (true, within) => self.words.iter().all(|word| outer.words.contains(word) == within),
            (false, false) => outer.words.iter().all(|word| self.words.contains(word)),
            (false, true) => false,
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        match (self.within, other.within) {
            (true, within) => !self.words.iter().any(|word| other.words.contains(word) == within),
            (false, true) => other.excludes(self),
            (false, false) => false,
        }
    }
}

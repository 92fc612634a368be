//! The flat form of a condition: tests in order, and where to go on after each.

use super::formula::{Formula, Test};
use super::{Asks, Flag, Number, OfModel, Text};
use crate::facts::Facts;

/// A condition as requests run it: from the first step on, one truth is carried along.
#[derive(Clone, Debug)]
pub(super) struct Code(Box<[Step]>);

/// A step.
#[derive(Clone, Debug)]
enum Step {
    /// The truth is now whether this holds.
    Test(Test),
    /// The truth is turned round.
    Not,
    /// Goes on there if the truth is `true`.
    Then(u32),
    /// Goes on there if the truth is `false`.
    Else(u32),
}

impl Code {
    pub(super) fn of(formula: &Formula) -> Self {
        let mut steps = Vec::new();
        write(formula, &mut steps);
        Self(steps.into())
    }

    /// Whether the condition holds. Steps only go forward, so this ends.
    pub(super) fn holds(&self, facts: &Facts<'_>, of: &OfModel) -> bool {
        let (mut at, mut truth) = (0, true);
        while let Some(step) = self.0.get(at) {
            at += 1;
            match step {
                Step::Test(test) => truth = test.holds(facts, of),
                Step::Not => truth = !truth,
                Step::Then(to) if truth => at = *to as usize,
                Step::Else(to) if !truth => at = *to as usize,
                Step::Then(_) | Step::Else(_) => {}
            }
        }
        truth
    }

    pub(super) fn asks(&self) -> Asks {
        let mut asks = Asks::default();
        for step in &self.0 {
            let Step::Test(test) = step else { continue };
            let mut number = |of: Number| {
                asks.of_model |= matches!(of, Number::EstCost | Number::P95Ttft);
                asks.text |= matches!(of, Number::TaskConfidence | Number::Complexity);
            };
            match test {
                Test::Number { of, .. } | Test::NumberIn { of, .. } => number(*of),
                Test::Numbers { left, right, .. } => [left, right].into_iter().for_each(|of| number(*of)),
                Test::Flag { of: Flag::CacheWarm, .. } => asks.of_model = true,
                _ => {}
            }
            for of in texts_of(test) {
                asks.text |= matches!(of, Text::Task | Text::Lang);
                asks.metadata |= matches!(of, Text::Metadata(_));
            }
        }
        asks
    }

    /// The tags, headers and entries of the metadata that are read.
    pub(super) fn texts(&self) -> Vec<String> {
        let tests = self.0.iter().filter_map(|step| match step {
            Step::Test(test) => Some(test),
            _ => None,
        });
        let named = |of: &Text| match of {
            Text::Tag(name) => Some(format!("tags.{name}")),
            Text::Header(name) => Some(format!("header.{name}")),
            Text::Metadata(name) => Some(format!("metadata.{name}")),
            _ => None,
        };
        tests.flat_map(texts_of).filter_map(named).collect()
    }
}

/// The texts that a test reads.
fn texts_of(test: &Test) -> impl Iterator<Item = &Text> {
    let (one, other) = match test {
        Test::Text { of, .. }
        | Test::TextIn { of, .. }
        | Test::Written { of, .. }
        | Test::Matches { of, .. }
        | Test::Contains { of, .. } => (Some(of), None),
        Test::Texts { left, right, .. } => (Some(left), Some(right)),
        _ => (None, None),
    };
    one.into_iter().chain(other)
}

fn write(formula: &Formula, steps: &mut Vec<Step>) {
    match formula {
        Formula::Test(test) => steps.push(Step::Test(test.clone())),
        Formula::Not(inner) => {
            write(inner, steps);
            steps.push(Step::Not);
        }
        Formula::All(parts) => chain(parts, Step::Else, steps),
        Formula::Any(parts) => chain(parts, Step::Then, steps),
    }
}

/// Parts one after the other; behind each but the last, a leap to the end.
fn chain(parts: &[Formula], leap: impl Fn(u32) -> Step, steps: &mut Vec<Step>) {
    let mut leaps = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        write(part, steps);
        if index + 1 < parts.len() {
            leaps.push(steps.len());
            steps.push(leap(0));
        }
    }
    // A condition has at most 4,096 bytes, and every step takes one.
    let end = steps.len() as u32;
    for at in leaps {
        steps[at] = leap(end);
    }
}

//! Rules that choose models: that their conditions are right, that each can be reached, and that the models
//! that it chooses can take what it sends them.

use nova_catalog::Model;
use nova_catalog::yaml::Located;
use nova_route::Classifier;
use nova_route::choose::Mode;
use nova_route::rules::Condition;

use super::Checker;
use super::names::ModelNames;
use crate::config::checked::{DEFAULT_NAMES, Rule};
use crate::config::problem::{Problem, did_you_mean};
use crate::config::raw::{OneOrMany, RawClassifier, RawConfig, RawRouting};

const CLASSIFIERS: [(&str, Classifier); 3] =
    [("none", Classifier::None), ("keywords", Classifier::Keywords), ("learned", Classifier::Learned)];

/// The model of the last rule, where it is for all that no other rule is about.
pub(super) fn default_rule(raw: &RawConfig) -> Option<&Located<String>> {
    let last = raw.route.last().filter(|rule| rule.condition.is_none()).map(|rule| &rule.model);
    last.or_else(|| raw.routes.last().and_then(|rule| rule.default.as_ref()))
}

impl Checker<'_> {
    /// The rules of either form.
    pub(super) fn rules(&mut self, raw: &RawConfig, names: &ModelNames<'_>) -> Vec<Rule> {
        let mut rules = Vec::new();
        if let (Some(first), Some(_)) = (raw.route.first(), raw.routes.first()) {
            self.problem(&first.model, "there are rules under `route` and under `routes`").hint =
                Some("write all of them in one form".into());
        }
        for rule in &raw.route {
            self.rule((rule.condition.as_ref(), &rule.model, &rule.fallback), names, &mut rules);
        }
        for rule in &raw.routes {
            match (&rule.condition, &rule.model, &rule.default) {
                (Some(condition), Some(model), None) => {
                    self.rule((Some(condition), model, &rule.fallback), names, &mut rules);
                }
                (None, None, Some(model)) => self.rule((None, model, &rule.fallback), names, &mut rules),
                _ => {
                    self.problem(rule, "a rule has `match` and `model`, or `default`").hint = Some(
                        "write `- match: CONDITION` with `model: NAME` below it, or `- default: NAME`".into(),
                    );
                }
            }
        }
        self.rest(raw);
        rules
    }

    /// Who decides what a request is about.
    pub(super) fn classifier(&mut self, raw: &RawRouting) -> Classifier {
        let word = match &raw.classifier {
            None => return Classifier::default(),
            Some(RawClassifier::File(file)) => return self.trained_classifier(file),
            Some(RawClassifier::Word(word)) => word,
        };
        if let Some((_, classifier)) = CLASSIFIERS.iter().find(|(known, _)| *known == word.value) {
            return classifier.clone();
        }
        let hint = did_you_mean(word, CLASSIFIERS.map(|(known, _)| known));
        self.problem(word, format!("there is no classifier `{}`", word.value)).hint =
            hint.or_else(|| Some("write `learned`, `keywords`, `none`, or `{ path: FILE }`".into()));
        Classifier::default()
    }

    fn rule(
        &mut self,
        (condition, model, fallback): (Option<&Located<String>>, &Located<String>, &OneOrMany),
        names: &ModelNames<'_>,
        rules: &mut Vec<Rule>,
    ) {
        let chosen = if Mode::of_name(model).is_some() { None } else { self.model(model, names) };
        let mut after = Vec::new();
        for name in &fallback.0 {
            after.extend(self.model(name, names).map(|found| (name, found)));
        }
        let before = self.problems.len();
        let parsed = condition.and_then(|text| self.condition(text));
        if let Some(always) = rules.iter().find(|rule| rule.always_holds()) {
            let line = always.line;
            self.problem(model, "this rule is never reached: one before it always holds").hint =
                Some(format!("move the rule on line {line} behind it"));
        } else if let Some((text, parsed)) = condition.zip(parsed.as_ref()) {
            self.reachable(text, parsed, rules);
            if let Some(chosen) = chosen
                && let Some((message, hint)) = unfit(parsed, chosen)
            {
                self.problem(model, message).hint = Some(hint);
            }
            for (name, found) in &after {
                if let Some((message, hint)) = unfit(parsed, found) {
                    self.warning(name, message, &hint);
                }
            }
        }
        // What is wrong must not become a rule that always holds.
        if condition.is_some() && parsed.is_none() && self.problems.len() > before {
            return;
        }
        rules.push(Rule {
            condition: parsed,
            model: model.value.clone(),
            fallback: after.into_iter().map(|(name, _)| name.value.clone()).collect(),
            line: condition.map_or(model.line, |text| text.line),
        });
    }

    /// A condition, or all that is wrong with it, each at its place.
    pub(super) fn condition(&mut self, text: &Located<String>) -> Option<Condition> {
        match Condition::parse(text) {
            Ok(condition) => Some(condition),
            Err(faults) => {
                for fault in faults {
                    let place = self.read.piece(text, fault.span);
                    self.problems.push(Problem { place, message: fault.message, hint: fault.hint });
                }
                None
            }
        }
    }

    /// Whether any request reaches the rule.
    fn reachable(&mut self, text: &Located<String>, condition: &Condition, rules: &[Rule]) {
        if condition.is_never() {
            self.problem(text, "this condition never holds").hint =
                Some("its parts exclude each other: write `or`, or change one".into());
            return;
        }
        let covers = |rule: &&Rule| rule.condition.as_ref().is_some_and(|before| condition.implies(before));
        let Some(before) = rules.iter().find(covers) else { return };
        let line = before.line;
        let is_same = before.condition.as_ref().is_some_and(|before| before.implies(condition));
        let message = if is_same {
            format!("this rule is never reached: the one on line {line} has the same condition")
        } else {
            format!("this rule is never reached: wherever it holds, the one on line {line} does, too")
        };
        self.problem(text, message).hint = Some("put the narrower rule first, or leave it out".into());
    }

    /// Whether the rules are asked at all, and whether two things are for the rest.
    fn rest(&mut self, raw: &RawConfig) {
        if raw.route.is_empty() && raw.routes.is_empty() {
            return;
        }
        for name in DEFAULT_NAMES {
            if let Some((alias, _)) = raw.aliases.0.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name))
            {
                let message = format!("no rule is asked for `{name}`, because it is an alias");
                self.warning(alias, message, "leave the alias out, and set `default_model`");
            }
        }
        if let (Some(rule), Some(model)) = (default_rule(raw), &raw.default_model)
            && !rule.eq_ignore_ascii_case(model)
        {
            let message = format!(
                "`default_model` is not used: the last rule always holds and chooses `{}`",
                rule.value
            );
            self.warning(model, message, "leave one of them out");
        }
    }
}

/// Why a model can take nothing of what a condition lets through, and what to do about it.
fn unfit(condition: &Condition, model: &Model) -> Option<(String, String)> {
    let id = &model.id;
    let least = condition.least_context();
    if let Some(context) = model.context.filter(|context| least >= *context) {
        let message = format!(
            "`{id}` takes prompts of up to {context} tokens, and this rule sends it only longer ones"
        );
        return Some((message, "choose a model with a longer context, or lower the bound".into()));
    }
    let lacks = match () {
        () if condition.demands_images() && !model.capabilities.images => "reads no images",
        () if condition.demands_tools() && !model.capabilities.tools => "calls no tools",
        () => return None,
    };
    Some((
        format!("`{id}` {lacks}, and this rule sends it only requests with such"),
        "choose another model, or correct its `capabilities` under `models:`".into(),
    ))
}

//! More prompts out of our own phrases, filled in with passages of the training data.
//!
//! Benchmarks tie a text to what is asked of it: only one set holds news, and all it asks for is summaries. Here
//! each passage is asked for everything in turn, so that what is asked decides, and not what it is asked about.

use std::collections::BTreeMap;

use nova_route::task::Task;

use super::Row;
use super::random::Random;

const PHRASES: &str = include_str!("phrases.txt");
/// Passages have between so many and so many bytes.
const PASSAGE: std::ops::Range<usize> = 250..4_000;

/// The phrases and what fills them in.
#[derive(Debug)]
pub(super) struct Phrases {
    phrases: Vec<(Task, &'static str)>,
    lists: BTreeMap<&'static str, Vec<String>>,
}

impl Phrases {
    /// The phrases with the passages of these rows.
    pub(super) fn new(rows: &[&Row]) -> Self {
        let mut lists: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let mut phrases = Vec::new();
        for line in PHRASES.lines() {
            let Some((name, text)) = line.split_once('\t') else { continue };
            if let Some(list) = name.strip_prefix('=') {
                lists.insert(list, text.split('|').map(plain).collect());
            } else if let Some(task) = Task::named(name) {
                phrases.push((task, text));
            }
        }
        let lines =
            rows.iter().flat_map(|row| row.prompt.lines()).filter(|line| PASSAGE.contains(&line.len()));
        let (chinese, other): (Vec<&str>, Vec<&str>) =
            lines.filter(|line| is_prose(line)).partition(|line| is_chinese(line));
        lists.insert("passage", other.into_iter().map(str::to_owned).collect());
        lists.insert("zh_passage", chinese.into_iter().map(str::to_owned).collect());
        Self { phrases, lists }
    }

    /// Every phrase filled in so many times; those that nothing can fill in are left out.
    pub(super) fn prompts(&self, times: usize, random: &mut Random) -> Vec<(Task, String)> {
        let mut prompts = Vec::new();
        for (task, phrase) in &self.phrases {
            let times = if phrase.contains('{') { times } else { 1 };
            prompts.extend((0..times).filter_map(|_| Some((*task, self.fill(phrase, random)?))));
        }
        prompts
    }

    fn fill(&self, phrase: &str, random: &mut Random) -> Option<String> {
        let mut filled = String::new();
        let mut rest = phrase;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, after) = behind.split_once('}')?;
            filled.push_str(&plain(before));
            filled.push_str(random.one(self.lists.get(name)?)?);
            rest = after;
        }
        filled.push_str(&plain(rest));
        Some(filled)
    }
}

/// A line of the file, its `\n` as line breaks.
fn plain(text: &str) -> String {
    text.replace("\\n", "\n")
}

/// Whether a line is running text: letters for the most part, and sentences.
fn is_prose(line: &str) -> bool {
    let letters = line.chars().filter(|letter| letter.is_alphabetic() || letter.is_whitespace()).count();
    let signs = line.matches([';', '{', '}', '=', '|', '\\', '$', '_']).count();
    letters * 10 > line.chars().count() * 8 && signs < 6 && line.contains(['.', '。', '，'])
}

fn is_chinese(line: &str) -> bool {
    line.chars().filter(|letter| ('\u{4e00}'..='\u{9fff}').contains(letter)).count() * 3
        > line.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Style;

    #[test]
    fn every_phrase_can_be_filled_in() {
        let row = |prompt: String| Row { prompt, task: Task::DocQa, source: "x".into(), style: Style::Bench };
        let english =
            row(format!("Read this.\n{}", "The committee met on Monday and decided nothing. ".repeat(8)));
        let chinese = row("人工智能正在改变我们的生活，它的应用越来越广泛。".repeat(10));
        let phrases = Phrases::new(&[&english, &chinese]);
        let lines = PHRASES.lines().filter(|line| !line.starts_with(['#', '='])).count();
        let prompts = phrases.prompts(1, &mut Random::new(1));
        assert_eq!(prompts.len(), lines);
        for (task, prompt) in &prompts {
            assert!(!prompt.is_empty(), "{task}");
        }
        for task in Task::ALL {
            assert!(prompts.iter().filter(|(of, _)| *of == task).count() >= 30, "{task}");
        }
    }
}

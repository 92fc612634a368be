//! Lengths of files. (Lengths of functions are clippy's `too_many_lines`.)

use super::{Finding, Tree};

const HARD: usize = 1_000;
const AIM: usize = 500;

const WRITTEN_BY_HAND: [&str; 6] = [".rs", ".py", ".ts", ".tsx", ".sh", ".css"];

pub(super) fn files(tree: &Tree) -> Vec<Finding> {
    let hint = "split it where somebody new would look for the next line";
    let long = lengths(tree).filter(|(_, lines)| *lines > HARD);
    long.map(|(path, lines)| Finding {
        path: path.to_owned(),
        line: None,
        message: format!("{lines} lines, and {HARD} is the most"),
        hint,
    })
    .collect()
}

/// Files that are longer than they should be, longest first; no failure.
pub(super) fn notes(tree: &Tree) -> Vec<String> {
    let mut long: Vec<_> = lengths(tree).filter(|(_, lines)| *lines > AIM).collect();
    long.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    long.into_iter().map(|(path, lines)| format!("{path} has {lines} lines; the aim is {AIM}")).collect()
}

fn lengths(tree: &Tree) -> impl Iterator<Item = (&str, usize)> {
    let written = |path: &str| WRITTEN_BY_HAND.iter().any(|end| path.ends_with(end));
    tree.files
        .iter()
        .filter(move |file| written(&file.path))
        .map(|file| (file.path.as_str(), file.text.lines().count()))
}

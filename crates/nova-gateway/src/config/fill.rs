//! Puts in what `${NAME}` and `${file:/path}` stand for.
//!
//! Works on values after parsing, so that no variable can add a key or a list; and marks what it filled,
//! so that no message shows it. `$${` is a plain `${`.

use std::path::{Path, PathBuf};

use super::checked::Env;
use super::problem::{Place, Problem};
use super::tree::{Node, Scalar};

/// Fills all values of a document; the folder is where relative paths of files count from. Adds to `filled`
/// what references stood for, and returns the ids of values that could not be filled.
pub(crate) fn fill(
    root: &mut Node,
    (folder, env): (&Path, &Env),
    filled: &mut Vec<String>,
    problems: &mut Vec<Problem>,
) -> Vec<u32> {
    let mut empty = Vec::new();
    root.scalars(&mut |id, place, scalar| {
        if scalar.text.contains("${")
            && let Err(problem) = fill_scalar(scalar, place, (folder, env), filled)
        {
            problems.push(problem);
            empty.push(id);
        }
    });
    empty
}

fn fill_scalar(
    scalar: &mut Scalar,
    place: Place,
    (folder, env): (&Path, &Env),
    found: &mut Vec<String>,
) -> Result<(), Problem> {
    let mut filled = String::with_capacity(scalar.text.len());
    let mut rest = scalar.text.as_str();
    let mut any = false;
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        filled.push_str(before);
        let (name, after) = rest[start + 2..].split_once('}').ok_or_else(|| {
            Problem::at(place, "a `${` is not closed").hint("write `${NAME}`, or `$${` for a plain `${`")
        })?;
        let value = value(name.trim(), place, folder, env)?;
        filled.push_str(&value);
        found.push(value);
        rest = after;
        any = true;
    }
    filled.push_str(rest);
    scalar.text = filled;
    if any {
        scalar.filled = true;
        // In `{…}` a reference needs quotes; what it stands for may be a number all the same.
        scalar.plain = true;
    }
    Ok(())
}

fn value(name: &str, place: Place, folder: &Path, env: &Env) -> Result<String, Problem> {
    if let Some(path) = name.strip_prefix("file:") {
        let path: PathBuf = folder.join(path.trim());
        let text = env.file(&path).map_err(|error| {
            Problem::at(place, format!("the file `{}` cannot be read: {error}", path.display()))
        })?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err(Problem::at(place, format!("the file `{}` is empty", path.display())));
        }
        return Ok(text.to_owned());
    }
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(Problem::at(place, format!("`${{{name}}}` names no variable"))
            .hint("write `${NAME}` or `${file:/path}`, or `$${` for a plain `${`"));
    }
    env.variable(name).ok_or_else(|| {
        Problem::at(place, format!("the environment variable `{name}` is not set"))
            .hint(format!("set `{name}`, or take what needs it out of the file"))
    })
}

//! Licences, bans and sources by our own reading of `deny.toml`, for machines without cargo-deny.
//!
//! Invariant: the lists live in `deny.toml` alone. What cargo-deny checks beyond them (known vulnerabilities) needs a
//! database from the network and is not checked here.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::metadata::{Graph, Package};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(root: &Path) -> Result<()> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("`deny.toml` could not be read")?;
    let lists = Lists::read(&text);
    if lists.allowed.is_empty() || lists.banned.is_empty() {
        bail!("`deny.toml` names no licence or no banned crate\nhint: each stands on a line of its own");
    }
    let graph = Graph::read(root)?;
    let problems: Vec<String> = graph.packages.iter().filter_map(|package| lists.problem(package)).collect();
    if !problems.is_empty() {
        bail!("{}\nhint: the lists and their reasons are in deny.toml", problems.join("\n"));
    }
    let (licences, banned) = (lists.allowed.len(), lists.banned.len());
    println!(
        "{} packages under {licences} allowed licences, none of {banned} banned crates",
        graph.packages.len()
    );
    Ok(())
}

#[derive(Debug, Default)]
struct Lists {
    allowed: Vec<String>,
    banned: Vec<String>,
}

impl Lists {
    /// Reads the two lists by line; the rest of the file is for cargo-deny.
    fn read(text: &str) -> Lists {
        let mut lists = Lists::default();
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') && line.ends_with(']') {
                section = line;
            }
            let value = line.split('"').nth(1).map(str::to_owned);
            if section == "[licenses]" && line.starts_with('"') {
                lists.allowed.extend(value);
            } else if section == "[bans]" && line.starts_with("{ crate") {
                lists.banned.extend(value);
            }
        }
        lists
    }

    fn problem(&self, package: &Package) -> Option<String> {
        let Package { name, version, .. } = package;
        if self.banned.contains(name) {
            return Some(format!("`{name}` is banned"));
        }
        if package.source.as_deref().is_some_and(|source| source != REGISTRY) {
            return Some(format!("`{name} {version}` comes from somewhere else than the registry"));
        }
        let Some(licence) = &package.license else {
            return Some(format!("`{name} {version}` names no licence"));
        };
        let allowed = |id: &str| self.allowed.iter().any(|allowed| allowed == id);
        match satisfied(licence, &allowed) {
            Some(true) => None,
            Some(false) => Some(format!("`{name} {version}` is under `{licence}`, which is not allowed")),
            None => Some(format!("`{name} {version}` has a licence that cannot be read: `{licence}`")),
        }
    }
}

/// Whether a licence expression (SPDX: `OR`, `AND`, `WITH`, brackets; the old `/` means `OR`) can be met by allowed
/// licences. None where it cannot be read.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = any(&tokens, allowed)?;
    rest.is_empty().then_some(met)
}

type Read<'a, 'b> = Option<(bool, &'a [&'b str])>;

fn any<'a, 'b>(tokens: &'a [&'b str], allowed: &dyn Fn(&str) -> bool) -> Read<'a, 'b> {
    let (mut met, mut rest) = all(tokens, allowed)?;
    while let ["OR", after @ ..] = rest {
        let (next, after) = all(after, allowed)?;
        (met, rest) = (met | next, after);
    }
    Some((met, rest))
}

fn all<'a, 'b>(tokens: &'a [&'b str], allowed: &dyn Fn(&str) -> bool) -> Read<'a, 'b> {
    let (mut met, mut rest) = one(tokens, allowed)?;
    while let ["AND", after @ ..] = rest {
        let (next, after) = one(after, allowed)?;
        (met, rest) = (met & next, after);
    }
    Some((met, rest))
}

fn one<'a, 'b>(tokens: &'a [&'b str], allowed: &dyn Fn(&str) -> bool) -> Read<'a, 'b> {
    match tokens {
        ["(", inner @ ..] => match any(inner, allowed)? {
            (met, [")", rest @ ..]) => Some((met, rest)),
            _ => None,
        },
        [")" | "OR" | "AND" | "WITH", ..] | [] => None,
        [id, "WITH", exception, rest @ ..] => Some((allowed(&format!("{id} WITH {exception}")), rest)),
        [id, rest @ ..] => Some((allowed(id), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_met_by_what_is_allowed() {
        let allowed = |id: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&id);
        for (expression, expected) in [
            ("MIT", Some(true)),
            ("GPL-3.0-only", Some(false)),
            ("MIT OR GPL-3.0-only", Some(true)),
            ("MIT/GPL-3.0-only", Some(true)),
            ("MIT AND GPL-3.0-only", Some(false)),
            ("ISC AND (GPL-3.0-only OR MIT)", Some(true)),
            ("GPL-3.0-only OR MIT AND ISC", Some(true)),
            ("(GPL-3.0-only OR MIT) AND BSL-1.0", Some(false)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("Apache-2.0", Some(false)),
            ("MIT OR", None),
            ("(MIT", None),
            ("", None),
            ("MIT ISC", None),
        ] {
            assert_eq!(satisfied(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn banned_unlicensed_and_foreign_packages_are_problems() {
        let lists = Lists::read(
            "[licenses]\nallow = [\n    \"MIT\", # why\n]\n[bans]\ndeny = [\n    { crate = \"openssl\", reason = \"x\" },\n]\n",
        );
        let package = |name: &str, license: Option<&str>, source: &str| Package {
            name: name.to_owned(),
            license: license.map(str::to_owned),
            source: Some(source.to_owned()),
            ..Package::default()
        };
        assert!(lists.problem(&package("a", Some("MIT"), REGISTRY)).is_none());
        assert!(lists.problem(&package("openssl", Some("MIT"), REGISTRY)).is_some());
        assert!(lists.problem(&package("a", Some("GPL-3.0-only"), REGISTRY)).is_some());
        assert!(lists.problem(&package("a", None, REGISTRY)).is_some());
        assert!(lists.problem(&package("a", Some("MIT"), "git+https://example.com/a")).is_some());
    }
}

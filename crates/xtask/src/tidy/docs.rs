//! Links, paths and fixtures: what texts point at must be there, for everybody.

use std::collections::BTreeSet;

use super::{File, Finding, Tree};

pub(super) fn links(tree: &Tree) -> Vec<Finding> {
    let paths: BTreeSet<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
    let exists = |target: &str| {
        let folder = format!("{target}/");
        target.is_empty()
            || paths.contains(target)
            || paths.range(folder.as_str()..).next().is_some_and(|next| next.starts_with(&folder))
    };
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in targets(&file.text) {
            let Some(resolved) = resolve(&file.path, target) else { continue };
            if !exists(&resolved) {
                findings.push(file.finding(
                    line,
                    format!("`{target}` is not there"),
                    "mend the link or add the file",
                ));
            }
        }
    }
    findings
}

/// Link targets outside code blocks, with their lines.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (start, _) in line.match_indices("](") {
            let inside_code = line[..start].matches('`').count() % 2 == 1;
            if let Some(end) = line[start..].find(')')
                && !inside_code
            {
                found.push((at + 1, &line[start + 2..start + end]));
            }
        }
    }
    found
}

/// The path from the root that a relative link means; none for links to elsewhere and within the page.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split(['#', ' ']).next().unwrap_or_default();
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Some(target.to_owned()), // above the root: not there
            ".." => {}
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

pub(super) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hint = "name paths from the root of the repository, or by `~` and environment variables";
    for file in tree.files.iter().filter(|file| !is_about_paths(file)) {
        for (at, line) in file.text.lines().enumerate() {
            let machine = tree.machine_paths.iter().map(String::as_str).find(|path| names_path(line, path));
            let home =
                ["/root/", "/Users/"].into_iter().find(|path| names_path(line, path.trim_end_matches('/')));
            let home = home.or_else(|| line.contains("/home/").then_some("/home/"));
            if let Some(path) = machine.or(home) {
                findings.push(file.finding(at + 1, format!("`{path}` is a path of one machine"), hint));
            }
        }
    }
    findings
}

/// Whether the line names the absolute path itself or something below it.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '~' | '}'))
            && !after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
            && (path != "/root" && path != "/Users" || after == Some('/'))
    })
}

pub(super) fn registry_hosts(tree: &Tree) -> Vec<Finding> {
    let hosts = ["pypi.org", "pythonhosted.org", "registry.npmjs.org", "static.crates.io", "index.crates.io"];
    let mut findings = Vec::new();
    let hint = "pip, npm and cargo know their registries from their own configuration";
    for file in tree.files.iter().filter(|file| !is_about_paths(file)) {
        for (at, line) in file.text.lines().enumerate() {
            for host in hosts.into_iter().filter(|host| line.contains(host)) {
                findings.push(file.finding(at + 1, format!("`{host}` is a registry's host"), hint));
            }
        }
    }
    findings
}

/// These rules and their tests have to name what they forbid.
fn is_about_paths(file: &File) -> bool {
    file.path.starts_with("crates/xtask/src/tidy/")
}

/// A fixture folder counts as read when a test source names its path, its own name as a text, or walks the folder above it.
pub(super) fn fixtures(tree: &Tree) -> Vec<Finding> {
    let mut folders = BTreeSet::new();
    for file in &tree.files {
        if let Some((folder, _)) = file.path.rsplit_once('/')
            && folder.starts_with("fixtures/")
        {
            folders.insert(folder);
        }
    }
    let sources: Vec<&File> =
        tree.files.iter().filter(|file| [".rs", ".py"].iter().any(|end| file.path.ends_with(end))).collect();
    let named = |what: &str| sources.iter().any(|file| file.text.contains(what));
    let mut findings = Vec::new();
    for folder in folders {
        let (parent, name) = folder.rsplit_once('/').unwrap_or(("", folder));
        let walked = named(&format!("{parent}\"")) || named(&format!("{parent}/\""));
        if !(named(folder) || named(&format!("\"{name}\"")) || walked) {
            findings.push(Finding {
                path: folder.to_owned(),
                line: None,
                message: "no test reads this fixture".to_owned(),
                hint: "name the folder in a test, or delete it",
            });
        }
    }
    findings
}

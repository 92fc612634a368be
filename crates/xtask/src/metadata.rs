//! The package graph, as `cargo metadata` tells it, reduced to what the checks ask.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// The workspace's packages and everything that they pull in.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// A member of this workspace.
    pub(crate) ours: bool,
    /// The licence expression of the manifest, as written.
    pub(crate) license: Option<String>,
    /// Where the package comes from; none for a path.
    pub(crate) source: Option<String>,
    /// Names in `[dependencies]` and `[build-dependencies]`.
    pub(crate) normal: Vec<String>,
    /// Names in `[dev-dependencies]`.
    pub(crate) dev: Vec<String>,
    /// Names of what the features in use really pull in, development aside.
    pub(crate) resolved: Vec<String>,
}

impl Graph {
    /// Asks cargo, in the workspace at `root`.
    pub(crate) fn read(root: &Path) -> Result<Graph> {
        let mut cargo = crate::shell::cargo();
        cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root);
        Graph::from_json(&crate::shell::output(&mut cargo)?)
    }

    fn from_json(printed: &str) -> Result<Graph> {
        let json: Value = serde_json::from_str(printed).context("`cargo metadata` printed no JSON")?;
        let members: BTreeSet<&str> = texts(&json["workspace_members"]).collect();
        let names: BTreeMap<&str, &str> = items(&json["packages"])
            .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
            .collect();
        let mut resolved: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for node in items(&json["resolve"]["nodes"]) {
            let Some(id) = node["id"].as_str() else { continue };
            let wanted =
                items(&node["deps"]).filter(|dep| items(&dep["dep_kinds"]).any(|kind| kind["kind"] != "dev"));
            let pulled =
                wanted.filter_map(|dep| names.get(dep["pkg"].as_str()?).map(|name| (*name).to_owned()));
            resolved.insert(id, pulled.collect());
        }
        let packages = items(&json["packages"]).map(|package| {
            let id = package["id"].as_str().unwrap_or_default();
            let (dev, normal): (Vec<_>, Vec<_>) =
                items(&package["dependencies"]).partition(|dependency| dependency["kind"] == "dev");
            Package {
                name: text(&package["name"]),
                version: text(&package["version"]),
                ours: members.contains(id),
                license: package["license"].as_str().map(str::to_owned),
                source: package["source"].as_str().map(str::to_owned),
                normal: normal.iter().map(|dependency| text(&dependency["name"])).collect(),
                dev: dev.iter().map(|dependency| text(&dependency["name"])).collect(),
                resolved: resolved.remove(id).unwrap_or_default(),
            }
        });
        let packages = packages.collect();
        Ok(Graph { packages, target_directory: PathBuf::from(text(&json["target_directory"])) })
    }

    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.ours)
    }

    /// Everything that the package pulls in, at any depth, development aside.
    pub(crate) fn closure<'a>(&'a self, of: &'a Package) -> BTreeSet<&'a str> {
        let by_name: BTreeMap<&str, &Package> =
            self.packages.iter().map(|package| (package.name.as_str(), package)).collect();
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = of.resolved.iter().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            if found.insert(name)
                && let Some(package) = by_name.get(name)
            {
                open.extend(package.resolved.iter().map(String::as_str));
            }
        }
        found
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    items(value).filter_map(Value::as_str)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

//! The configuration: one YAML file, read once into dumb types and converted once into types that
//! cannot be wrong.
//!
//! Invariants: all that is wrong is found at once, each with its line; a configuration with an error
//! never becomes a [`Config`]; no secret gets into a message.
//!
//! Reading order: [`raw`] is the file as it is written (its doc comments are the schema's descriptions),
//! [`checked`] what the program gets. Between them: `tree` reads YAML with places, `fill` puts in what
//! `${…}` stands for, `de` and `read` make raw types of the tree, `check` converts them. [`problem`] is
//! how errors are shown, [`reload`] how a changed file takes over, `reference` the page that documents it all.

use std::path::Path;

mod check;
pub mod checked;
mod de;
mod fill;
pub mod problem;
pub mod raw;
mod read;
mod reference;
pub mod reload;
mod tree;

pub use checked::{
    Config, DEFAULT_LISTEN, Deployment, Engine, Env, LOCAL_PROVIDER, Limits, LocalEngine, LogFormat, Metric,
    Mount, Names, Preset, Retry, Rule, Shadow, ShadowJudge, StaticKey, Telemetry, Timeouts, Traffic,
};
pub use problem::{Place, Problem, Problems};
pub use reference::reference;

/// Larger files are no configuration.
const MAX_BYTES: usize = 4 * 1024 * 1024;

impl Config {
    /// The configuration in a file.
    ///
    /// # Errors
    /// All that is wrong with it, or why the file cannot be read.
    pub fn load(file: &Path, env: &Env) -> Result<Self, Problems> {
        let source = file.display().to_string();
        let text = env.file(file).map_err(|error| {
            let problem = Problem::nowhere(format!("the file cannot be read: {error}"));
            Problems::new(&source, "", vec![problem])
        })?;
        Self::parse(&source, &text, env)
    }

    /// The configuration in a text; `source` is the file's path, from whose folder relative paths count.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(source: &str, text: &str, env: &Env) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let checked = if text.len() > MAX_BYTES {
            problems.push(Problem::nowhere(format!("the file is larger than {} MiB", MAX_BYTES >> 20)));
            None
        } else {
            read::read(text, source, env, &mut problems)
                .and_then(|read| check::check(read, source, env, &mut problems))
        };
        match checked {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems::new(source, text, problems)),
        }
    }

    /// The configuration where there is no file: the built-in catalogue, the credentials that the
    /// environment holds, the local engine.
    ///
    /// # Errors
    /// What is wrong with the environment, such as a credential that no header can carry.
    pub fn defaults(env: &Env) -> Result<Self, Problems> {
        Self::parse("defaults", "", env)
    }
}

/// The JSON schema of the configuration file (JSON Schema 2020-12).
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::RawConfig).to_value()
}

#[cfg(test)]
mod tests;

//! Files that were trained: read here, so that a configuration with a broken one is refused as a whole.

use std::sync::Arc;

use nova_catalog::yaml::Located;
use nova_route::Classifier;
use nova_route::quality::Quality;
use nova_route::task::Model;

use super::Checker;
use super::names::ModelNames;
use crate::config::raw::{RawArtefact, RawRouting};

/// More unknown names than this are only counted.
const SHOWN: usize = 5;

impl Checker<'_> {
    /// What graded answers taught of models.
    pub(super) fn quality(&mut self, raw: &RawRouting, names: &ModelNames<'_>) -> Option<Arc<Quality>> {
        let RawArtefact { path } = raw.quality.as_ref()?;
        let bytes = self.artefact(path)?;
        let quality = match Quality::from_bytes(&bytes) {
            Ok(quality) => quality,
            Err(error) => {
                let file = &path.value;
                self.problem(path, format!("the file `{file}` cannot be used: {error}")).hint =
                    Some(format!("write it anew: `novastack train quality --data FILE --out {file}`"));
                return None;
            }
        };
        let unknown: Vec<&str> = quality.models().filter(|name| names.find(name).is_none()).collect();
        if names.are_whole() && !unknown.is_empty() {
            let mut list =
                unknown.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            if unknown.len() > SHOWN {
                list = format!("{list} and {} more", unknown.len() - SHOWN);
            }
            let (known, all) = (quality.models().len() - unknown.len(), quality.models().len());
            self.warning(
                path,
                format!("of the {all} models of this file, {known} are known here; nobody is called {list}"),
                "give them these names under `aliases:`, or train with the names that models have here",
            );
        }
        Some(Arc::new(quality))
    }

    /// A classifier that the operator trained.
    pub(super) fn trained_classifier(&mut self, raw: &RawArtefact) -> Classifier {
        let path = &raw.path;
        let Some(bytes) = self.artefact(path) else { return Classifier::default() };
        match Model::from_bytes(&bytes) {
            Ok(model) => Classifier::Trained(Arc::new(model)),
            Err(error) => {
                let (file, error) = (&path.value, error.to_string());
                // What it says behind its first line is a hint that stands below without the file's name.
                let reason = error.lines().next().unwrap_or_default();
                self.problem(path, format!("the file `{file}` cannot be used: {reason}")).hint =
                    Some(format!("write it anew: `novastack train tasks --data FILE --out {file}`"));
                Classifier::default()
            }
        }
    }

    /// The bytes of an artefact; a relative path counts from the folder of the configuration.
    pub(super) fn artefact(&mut self, path: &Located<String>) -> Option<Vec<u8>> {
        match self.env.bytes(&self.folder.join(&path.value)) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.problem(path, format!("the file `{}` cannot be read: {error}", path.value)).hint =
                    Some("a relative path counts from the configuration's folder".into());
                None
            }
        }
    }
}

//! What models cost, by their names in outcomes.

use std::collections::HashMap;

use nova_catalog::raw::Amount;
use nova_catalog::{CatalogError, NanoUsd, PerMillion};
use serde::Deserialize;

/// List prices of the models in the public outcomes, with their date and sources.
pub const EMBEDDED: &str = include_str!("../prices.yaml");

/// Prices of models.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The day for which they hold.
    pub date: String,
    /// Where they stand.
    pub source: String,
    models: HashMap<String, Rates>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rates {
    input: Amount,
    output: Amount,
}

impl Prices {
    /// Reads a file of prices.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(file: &str, text: &str) -> Result<Self, CatalogError> {
        nova_catalog::yaml::read(file, text)
    }

    /// What a request of so many tokens costs, or nothing where the model has no price.
    pub fn cost(&self, model: &str, input: u64, output: u64) -> Option<NanoUsd> {
        let rates = self.models.get(model)?;
        let of = |amount: Amount, tokens| PerMillion::new(amount.0).cost(tokens);
        Some(of(rates.input, input).saturating_add(of(rates.output, output)))
    }

    /// Whether the model has a price.
    pub fn knows(&self, model: &str) -> bool {
        self.models.contains_key(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_prices_are_read_and_say_when_they_held() {
        let prices = Prices::read("prices.yaml", EMBEDDED).unwrap();
        assert_eq!(prices.date, "2024-12-01");
        assert!(prices.source.contains("DeepInfra"));
        let cost = prices.cost("gemini-1.5-pro-002", 1_000, 1_000);
        assert_eq!(cost, Some(NanoUsd::from_nanos(6_250_000)));
        assert_eq!(prices.cost("unheard-of", 1, 1), None);
        assert!(!prices.knows("unheard-of"));
        let error = Prices::read("mine.yaml", "date: x\nsource: y\nmodels: {m: {input: 1, output: one}}");
        assert!(error.unwrap_err().to_string().contains("mine.yaml"));
    }
}

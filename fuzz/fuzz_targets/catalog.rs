//! Entries that a configuration lays over the catalogue are refused with reasons, or give models that can be found and
//! priced, whatever the counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nova_catalog::{Catalog, RawCatalog, yaml};
use nova_wire::Usage;

fuzz_target!(|input: (i64, u64, u64, &str)| {
    let (at_ms, prompt, output, document) = input;
    let Ok(over) = yaml::read::<RawCatalog>("fuzz.yaml", document) else { return };
    let base = Catalog::from_yaml("providers: {}", "models: {}").expect("an empty catalogue is one");
    let catalog = match base.with(&over, "fuzz.yaml") {
        Ok(catalog) => catalog,
        Err(refused) => {
            assert!(!refused.problems.is_empty(), "a refusal has a reason");
            return;
        }
    };
    let usage = Usage {
        input: prompt,
        cache_read: prompt / 3,
        cache_write: prompt / 7,
        output,
        reasoning: output / 2,
    };
    for model in catalog.models() {
        assert_eq!(catalog.model(&model.id).map(|found| &found.id), Some(&model.id));
        for price in model.offers.iter().filter_map(|offer| offer.price.as_ref()) {
            let _ = price.cost(&usage, at_ms);
        }
    }
});

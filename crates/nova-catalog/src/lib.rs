//! Providers, models, prices and quirks as data; money.
//!
//! The crate is pure: it reads the documents that it is given (its own are part of the program) and the
//! instant that a price is asked for is an argument. A [`Catalog`] that exists is right: every offer
//! names a provider, every name means one model, no price is negative. A new provider, model or price
//! is an entry of YAML, in `catalog/` or in the operator's configuration; nothing here knows a name.
//!
//! Reading order:
//!
//! 1. [`money`]: integer amounts, and prices per million tokens; [`price`]: what a usage costs.
//! 2. [`raw`]: entries as they are written; [`yaml`]: how they keep their lines.
//! 3. [`provider`] and [`model`]: entries that cannot be wrong any more; [`policy`]: how a provider treats
//!    what it is sent; [`service`]: what it serves beside conversation; [`template`]: the places in an
//!    address that are filled when a configuration is loaded.
//! 4. `check`: from the one to the other, with every problem at once; `merge`: how a configuration's
//!    entries lie over the catalogue's.
//! 5. [`catalog`]: finding things by name.

pub mod catalog;
mod check;
pub mod date;
pub mod error;
mod merge;
pub mod model;
pub mod money;
mod nearest;
pub mod policy;
pub mod price;
pub mod provider;
pub mod raw;
pub mod service;
pub mod template;
pub mod yaml;

pub use catalog::{Catalog, Resolved};
pub use date::Date;
pub use error::{CatalogError, Problem};
pub use model::{Capabilities, Model, Offer, Quality, Thinking};
pub use money::{NanoUsd, PerMillion};
/// What a price is multiplied with.
pub use nova_wire::Usage;
pub use policy::{DataCollection, DataPolicy, Quantization, Tags};
pub use price::Price;
pub use provider::{Auth, Endpoint, Parameter, Provider};
pub use raw::{RawCatalog, RawModel, RawOffer, RawProvider};
pub use service::Service;

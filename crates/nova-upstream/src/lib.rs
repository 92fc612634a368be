//! The only crate that opens connections to providers.

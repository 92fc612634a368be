//! Providers, models, prices and quirks as data; money.

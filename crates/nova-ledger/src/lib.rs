//! Keys and usage records; the only crate that names sqlx.

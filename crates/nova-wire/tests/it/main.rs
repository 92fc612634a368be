//! Translations as the gateway sees them: bytes in, bytes out, across dialects.

mod codex;
mod converse;
mod coverage;
mod golden;
mod grammar;
mod hostile;
mod replay;
mod splits;
mod support;

//! The `novastack` command.
fn main() {}

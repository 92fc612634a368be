//! Changes a few fields in raw JSON and leaves every other byte alone.

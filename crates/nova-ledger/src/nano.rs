//! Stand-in until `nova_catalog::NanoUsd` exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NanoUsd(i64);
impl NanoUsd {
    pub const ZERO: Self = Self(0);
    pub const fn from_nanos(n: i64) -> Self {
        Self(n)
    }
    pub const fn nanos(self) -> i64 {
        self.0
    }
}

//! Measures of routers.
//!
//! Invariant: a measure is a function of grades, costs and choices; nothing here learns but [`fit`], and what a
//! prompt is judged by never saw it.
//!
//! Reading order: [`fit`] learns on some folds what it expects of the others; [`pair`] measures two models as
//! RouteLLM does, [`pool`] many models by cost and quality, with [`curve`] for hulls; [`calibration`] and
//! [`bootstrap`] say how far to trust it; [`replay`] lets time pass, [`robust`] changes the words, [`speed`] takes
//! the time.

pub mod bootstrap;
pub mod calibration;
pub mod curve;
pub mod fit;
pub mod pair;
pub mod pool;
pub mod replay;
pub mod robust;
pub mod speed;

//! How hard a request looks.

use crate::features::{Features, Hint, words_share};

/// How hard a request looks, 0 to 1, by a plain sum that anybody can check: 0.4 for its length (the logarithm of
/// its words, full at 500), 0.2 where steps or reasons are asked for, 0.15 each for puzzles and proofs, for
/// reviews of code, and for analyses, 0.1 for having several numbers. Nothing here is learnt: it orders requests
/// and is no probability.
pub fn complexity(features: &Features) -> f64 {
    let one = |holds: bool, weight: f64| if holds { weight } else { 0.0 };
    let sum = 0.4 * f64::from(words_share(features)).min(1.0)
        + one(features.hints(Hint::Steps), 0.2)
        + one(features.hints(Hint::Puzzle), 0.15)
        + one(features.hints(Hint::Review), 0.15)
        + one(features.hints(Hint::Analysis), 0.15)
        + one(features.hints(Hint::Numbers), 0.1);
    // Two digits are enough for a rule, and hide no differences between machines.
    (sum.min(1.0) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::extract;

    #[test]
    fn harder_requests_look_harder() {
        let of = |text: &str| {
            let mut features = Features::default();
            extract(text, &mut features);
            complexity(&features)
        };
        let rising = [
            "",
            "Hi!",
            "What is the capital of France?",
            "Explain step by step how TCP slow start works and compare it with CUBIC.",
            "Prove that there are infinitely many primes congruent to 3 modulo 4, step by step, then analyze how the argument fails for 1 modulo 4, and review this code: 17, 23, 31, 43",
        ];
        assert!(rising.windows(2).all(|pair| of(pair[0]) < of(pair[1])), "{:?}", rising.map(of));
        assert!(of(&"prove that 1 2 3 why ".repeat(3000)) <= 1.0);
    }
}

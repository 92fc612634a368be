//! One strong and one weak model: RouteLLM's measures (arXiv 2406.18665, `routellm/evals`).

/// The grades of two models for the same prompts, in the same order.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// Of the dear model.
    pub strong: Vec<f32>,
    /// Of the cheap one.
    pub weak: Vec<f32>,
}

/// RouteLLM's measures of one router.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairScore {
    /// The area between the router's curve and the weak model's line, as a share of the area between both models'
    /// lines: 0.5 for a coin, above 1 where routing beats the strong model itself.
    pub apgr: f64,
    /// The percentage of calls to the strong model at which 20, 50 and 80 % of the gap between both is closed.
    pub cpt: [f64; 3],
}

/// Shares of calls to the strong model at which the curve is taken: RouteLLM's ten equal bins.
const BINS: usize = 10;
/// The shares of the gap of [`PairScore::cpt`].
const GAPS: [f64; 3] = [0.2, 0.5, 0.8];

impl Pair {
    /// Measures a router that gives each prompt a score, the highest for what most needs the strong model.
    ///
    /// RouteLLM takes thresholds at ten quantiles of the scores. Prompts with equal scores are told apart by a hash
    /// of their place here, as otherwise a router with few distinct scores would have no curve at all.
    pub fn score(&self, scores: &[f64]) -> PairScore {
        let all: Vec<u32> = (0..).take(scores.len()).collect();
        self.score_of(&by_score(scores, &all))
    }

    /// The same for prompts that are sorted already, each any number of times.
    pub(crate) fn score_of(&self, order: &[u32]) -> PairScore {
        let curve = self.curve(order);
        let (weak, strong) = (curve[0].1, curve[curve.len() - 1].1);
        let area: f64 = curve.windows(2).map(|two| (two[1].0 - two[0].0) * (two[0].1 + two[1].1) / 2.0).sum();
        let gap = strong - weak;
        if gap == 0.0 {
            return PairScore { apgr: f64::NAN, cpt: [f64::NAN; 3] };
        }
        PairScore { apgr: (area - weak) / gap, cpt: GAPS.map(|share| crossing(&curve, weak + share * gap)) }
    }

    /// The share of strong calls and the mean grade at each threshold.
    fn curve(&self, order: &[u32]) -> Vec<(f64, f64)> {
        let count = order.len().max(1);
        let mut sum: f64 = order.iter().map(|at| f64::from(self.weak[*at as usize])).sum();
        let mut curve = vec![(0.0, sum / count as f64)];
        let mut taken = 0;
        for bin in 1..=BINS {
            let until = order.len() * bin / BINS;
            for at in &order[taken..until] {
                sum += f64::from(self.strong[*at as usize]) - f64::from(self.weak[*at as usize]);
            }
            taken = until;
            curve.push((until as f64 / count as f64, sum / count as f64));
        }
        curve
    }
}

/// Places from the highest score to the lowest.
pub(crate) fn by_score(scores: &[f64], places: &[u32]) -> Vec<u32> {
    let mut order = places.to_vec();
    let jitter = |at: u32| at.wrapping_mul(0x9e37_79b1).rotate_left(13).wrapping_mul(0x85eb_ca77);
    order.sort_by(|one, other| {
        let (one_score, other_score) = (scores[*one as usize], scores[*other as usize]);
        other_score.total_cmp(&one_score).then(jitter(*one).cmp(&jitter(*other)))
    });
    order
}

/// The percentage of calls at which the curve first reaches a grade, between two points in a straight line.
fn crossing(curve: &[(f64, f64)], grade: f64) -> f64 {
    for two in curve.windows(2) {
        let [(from, low), (to, high)] = [two[0], two[1]];
        if high >= grade && high > low {
            return 100.0 * (from + (to - from) * ((grade - low) / (high - low)).max(0.0));
        }
    }
    100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    /// Ten prompts, of which the strong model alone knows two and the weak one all others but two.
    fn pair() -> Pair {
        Pair {
            strong: vec![1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
            weak: vec![0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
        }
    }

    #[test]
    fn a_perfect_router_is_worked_as_by_hand() {
        // Of strong calls 0, 1, 2 .. 10: grades .6, .7, .8, .8 .. .8. The area is .65 * .1 + .75 * .1 + .8 * .8.
        let score = pair().score(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
        assert!((score.apgr - (0.065 + 0.075 + 0.64 - 0.6) / 0.2).abs() < 1e-9, "{score:?}");
        for (cpt, expected) in score.cpt.iter().zip([4.0, 10.0, 16.0]) {
            assert!((cpt - expected).abs() < 1e-6, "{score:?}");
        }
    }

    #[test]
    fn a_router_that_is_always_wrong_gets_next_to_nothing() {
        let score = pair().score(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        // The mirror of the perfect one: what both get together is 1.
        assert!((score.apgr - 0.1).abs() < 1e-9, "{score:?}");
        assert!(score.cpt[1] > 89.0);
    }

    #[test]
    fn a_coin_gets_a_half() {
        let mut draw = Draw::new(3);
        let grade = |right: bool| f32::from(u8::from(right));
        let rows: Vec<(bool, bool)> = (0..20_000).map(|_| (draw.unit() < 0.8, draw.unit() < 0.6)).collect();
        let pair = Pair {
            strong: rows.iter().map(|row| grade(row.0)).collect(),
            weak: rows.iter().map(|row| grade(row.1)).collect(),
        };
        let score = pair.score(&vec![0.5; rows.len()]);
        assert!((score.apgr - 0.5).abs() < 0.03 && (score.cpt[1] - 50.0).abs() < 5.0, "{score:?}");
    }

    #[test]
    fn two_equal_models_have_no_gap_to_close() {
        let pair = Pair { strong: vec![1.0, 0.0], weak: vec![1.0, 0.0] };
        assert!(pair.score(&[0.0, 1.0]).apgr.is_nan());
    }
}

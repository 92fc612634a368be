//! Cost against quality: RouterBench's measures (arXiv 2403.12031).

/// What a router costs and brings at one setting, both as means over the prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Cost of a request.
    pub cost: f64,
    /// Grade of an answer, 0 to 1.
    pub quality: f64,
}

/// The non-decreasing concave hull of points: what can be had by mixing two settings at random, and by never
/// paying more for less. Ascending in cost and in quality.
pub fn hull(points: &[Point]) -> Vec<Point> {
    let mut sorted: Vec<Point> = points.iter().filter(|point| point.cost.is_finite()).copied().collect();
    sorted.sort_by(|one, other| one.cost.total_cmp(&other.cost).then(other.quality.total_cmp(&one.quality)));
    let mut hull: Vec<Point> = Vec::new();
    for point in sorted {
        if hull.last().is_some_and(|last| point.quality <= last.quality) {
            continue;
        }
        while hull.len() >= 2
            && rises(hull[hull.len() - 2], hull[hull.len() - 1]) <= rises(hull[hull.len() - 2], point)
        {
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

fn rises(from: Point, to: Point) -> f64 {
    let cost = to.cost - from.cost;
    if cost > 0.0 { (to.quality - from.quality) / cost } else { f64::INFINITY }
}

/// The quality that a hull brings at a cost: nothing below its cheapest point, its best from the dearest on.
pub fn at_cost(hull: &[Point], cost: f64) -> f64 {
    let after = hull.partition_point(|point| point.cost <= cost);
    match (after.checked_sub(1).map(|before| hull[before]), hull.get(after)) {
        (None, _) => 0.0,
        (Some(before), None) => before.quality,
        (Some(before), Some(after)) => before.quality + rises(before, *after) * (cost - before.cost),
    }
}

/// The least cost at which a hull brings a quality; infinite where it never does.
pub fn cost_of(hull: &[Point], quality: f64) -> f64 {
    let at = hull.partition_point(|point| point.quality < quality);
    match (at.checked_sub(1).map(|before| hull[before]), hull.get(at)) {
        (_, None) => f64::INFINITY,
        (None, Some(first)) => first.cost,
        (Some(before), Some(after)) => {
            before.cost
                + (after.cost - before.cost) * (quality - before.quality) / (after.quality - before.quality)
        }
    }
}

/// The mean quality of a hull over the costs from `low` to `high`: RouterBench's AIQ. The hull goes on level after
/// its dearest point; before its cheapest one it brings what that one does, so that a router is not punished for
/// never being the cheapest model alone.
pub fn aiq(hull: &[Point], low: f64, high: f64) -> f64 {
    let Some(first) = hull.first() else { return 0.0 };
    if high <= low {
        return at_cost(hull, high).max(first.quality);
    }
    let value = |cost: f64| if cost < first.cost { first.quality } else { at_cost(hull, cost) };
    let mut costs = vec![low];
    costs.extend(hull.iter().map(|point| point.cost).filter(|cost| (low..high).contains(cost)));
    costs.push(high);
    let area: f64 =
        costs.windows(2).map(|two| (two[1] - two[0]) * f64::midpoint(value(two[0]), value(two[1]))).sum();
    area / (high - low)
}

/// RouterArena's score (arXiv 2510.00202): the harmonic mean of accuracy and cheapness with b = 0.1, where
/// cheapness falls with the logarithm of the cost from $0.0044 to $200 per thousand requests.
pub fn arena(accuracy: f64, usd_per_thousand: f64) -> f64 {
    const B: f64 = 0.1;
    let (least, most) = (0.0044_f64.log2(), 200.0_f64.log2());
    let cheapness = ((most - usd_per_thousand.log2()) / (most - least)).clamp(0.0, 1.0);
    let below = B * accuracy + cheapness;
    if below > 0.0 { (1.0 + B) * accuracy * cheapness / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn point(cost: f64, quality: f64) -> Point {
        Point { cost, quality }
    }

    #[test]
    fn a_hull_is_worked_as_by_hand() {
        let points = [
            point(1.0, 0.4),
            point(2.0, 0.5),
            point(3.0, 0.8),
            point(4.0, 0.7),
            point(5.0, 0.9),
            point(1.0, 0.3),
        ];
        // (2, .5) lies under the line from (1, .4) to (3, .8); (4, .7) costs more for less.
        let hull = hull(&points);
        assert_eq!(hull, [point(1.0, 0.4), point(3.0, 0.8), point(5.0, 0.9)]);
        let check = |says: f64, expected: f64| assert!((says - expected).abs() < 1e-12, "{says} {expected}");
        check(at_cost(&hull, 2.0), 0.6);
        check(at_cost(&hull, 0.5), 0.0);
        check(at_cost(&hull, 9.0), 0.9);
        check(cost_of(&hull, 0.6), 2.0);
        check(cost_of(&hull, 0.1), 1.0);
        check(cost_of(&hull, 0.85), 4.0);
        assert_eq!(cost_of(&hull, 0.95), f64::INFINITY);
        // .6 over the first two, .85 over the next two.
        check(aiq(&hull, 1.0, 5.0), (0.6 * 2.0 + 0.85 * 2.0) / 4.0);
        // Level before and after.
        check(aiq(&hull, 0.0, 6.0), (0.4 + 1.2 + 1.7 + 0.9) / 6.0);
    }

    #[test]
    fn the_arena_score_is_the_published_one() {
        // RouterArena's README: accuracy and dollars per thousand requests, and the score to two decimals.
        let check = |accuracy: f64, cost: f64, score: f64| {
            assert!((arena(accuracy, cost) - score).abs() < 0.003, "{}", arena(accuracy, cost));
        };
        check(0.797, 0.27, 0.7763);
        check(0.740, 10.02, 0.6430);
    }

    proptest! {
        #[test]
        fn a_hull_lies_over_every_point(points in proptest::collection::vec((0.0f64..10.0, 0.0f64..1.0), 1..30)) {
            let points: Vec<Point> = points.into_iter().map(|(cost, quality)| point(cost, quality)).collect();
            let hull = hull(&points);
            for point in &points {
                prop_assert!(at_cost(&hull, point.cost) >= point.quality - 1e-9);
                prop_assert!(cost_of(&hull, point.quality) <= point.cost + 1e-9);
            }
            prop_assert!(hull.windows(2).all(|two| two[0].cost < two[1].cost && two[0].quality < two[1].quality));
        }
    }
}

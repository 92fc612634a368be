//! Small trees that correct the first estimate: what thresholds tell and weights cannot.

/// How many questions a tree asks.
pub const DEPTH: usize = 4;
/// How many answers a tree has.
pub const LEAVES: usize = 1 << DEPTH;

/// Trees that each ask the same [`DEPTH`] questions of every input (oblivious trees: Kohavi and Li, 1995), so that a
/// tree is a handful of comparisons and one row of a table. The sums of their answers are log-odds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forest {
    /// How many numbers an input has.
    pub inputs: usize,
    /// How many sums.
    pub outputs: usize,
    /// [`DEPTH`] for each tree: which number of the input, and what it must be above.
    pub asks: Vec<(u32, f32)>,
    /// For each tree and each of its [`LEAVES`], for each output what is added.
    pub leaves: Vec<f32>,
}

impl Forest {
    /// How many trees.
    pub fn trees(&self) -> usize {
        self.asks.len() / DEPTH
    }

    /// Whether the parts fit together and hold only numbers.
    pub fn holds(&self) -> bool {
        self.asks.len().is_multiple_of(DEPTH)
            && self.leaves.len() == self.trees() * LEAVES * self.outputs
            && self.asks.iter().all(|(input, above)| (*input as usize) < self.inputs && !above.is_nan())
            && self.leaves.iter().all(|leaf| leaf.abs() < 1e3)
    }

    /// Adds what the trees say of an input to `into`, one sum for each output.
    pub fn add(&self, input: &[f32], into: &mut [f32]) {
        for (asks, leaves) in
            self.asks.chunks_exact(DEPTH).zip(self.leaves.chunks_exact((LEAVES * self.outputs).max(1)))
        {
            let leaf = asks.iter().fold(0, |leaf, (at, above)| {
                2 * leaf + usize::from(input.get(*at as usize).is_some_and(|value| value > above))
            });
            let says = &leaves[leaf * self.outputs..][..self.outputs];
            into.iter_mut().zip(says).for_each(|(sum, says)| *sum += says);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One tree that asks the second number four times.
    fn forest() -> Forest {
        let asks = [1.0, 2.0, 3.0, 4.0].map(|above| (1, above)).to_vec();
        let leaves = (0..2 * LEAVES).map(|at| at as f32).collect();
        Forest { inputs: 2, outputs: 2, asks, leaves }
    }

    #[test]
    fn an_answer_is_found_by_its_questions() {
        let check = |value: f32, leaf: usize| {
            let mut sums = [10.0, 20.0];
            forest().add(&[100.0, value], &mut sums);
            assert_eq!(sums, [10.0 + (2 * leaf) as f32, 20.0 + (2 * leaf + 1) as f32], "{value}");
        };
        check(0.0, 0b0000);
        check(1.0, 0b0000);
        check(1.5, 0b1000);
        check(3.5, 0b1110);
        check(9.0, 0b1111);
        check(f32::NAN, 0b0000);
        check(f32::INFINITY, 0b1111);
    }

    #[test]
    fn parts_that_do_not_fit_are_seen() {
        let check = |spoil: fn(&mut Forest), holds: bool| {
            let mut forest = forest();
            spoil(&mut forest);
            assert_eq!(forest.holds(), holds);
        };
        check(|_| (), true);
        check(|forest| *forest = Forest::default(), true);
        check(|forest| forest.asks[0].0 = 2, false);
        check(|forest| forest.asks[0].1 = f32::NAN, false);
        check(|forest| forest.asks.truncate(3), false);
        check(|forest| forest.leaves.truncate(31), false);
        check(|forest| forest.leaves[0] = f32::INFINITY, false);
    }
}

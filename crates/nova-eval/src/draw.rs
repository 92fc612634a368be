//! Numbers that look random and are the same everywhere: SplitMix64 (Steele, Lea and Flood, 2014).

/// A sequence made by a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `n`, which is above 0; the bias of the remainder is below 2⁻⁴⁰ for what is drawn here.
    pub(crate) const fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Within 0 and 1, 1 left out.
    pub(crate) const fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Brings them into a drawn order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which of `folds` parts a text belongs to: a hash of the text and the seed alone, so that a prompt that
/// stands twice is on one side. FNV-1a, mixed once more because its low bits are weak.
pub(crate) fn fold_of(text: &str, folds: usize, seed: u64) -> usize {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (mix(hash) % folds.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_even_and_depend_on_nothing_but_text_and_seed() {
        let mut counts = [0; 5];
        for text in 0..5_000 {
            counts[fold_of(&text.to_string(), 5, 1)] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert_eq!(fold_of("a prompt", 5, 1), fold_of("a prompt", 5, 1));
        assert!((0..50).any(|seed| fold_of("a prompt", 5, seed) != fold_of("a prompt", 5, 1)));
    }

    #[test]
    fn an_order_is_drawn_and_nothing_is_lost() {
        let mut items: Vec<u32> = (0..100).collect();
        Draw::new(4).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<u32>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<u32>>());
    }
}

//! [`Quality`] as bytes: little-endian, self-describing enough to be refused, and checked before it is used.
//!
//! `NOVAQLTY`, then as `u32` the format's version, the features' version, how many models, kinds and buckets; the
//! names and the provenance as length and text; cells, steps and dense weights as `f32`; the buckets as `u32`; the
//! weights as `i8`; how many inputs and trees the forest has as `u32`, its questions as `u32` and `f32`, its leaves as
//! `f32`; and last an FNV-1a of all before it, against files that were cut or changed on their way.

use crate::features::{self, BUCKETS, CHOICES, DENSE};

use super::forest::{DEPTH, Forest, LEAVES};
use super::judge::{Cell, MOST, Quality, QualityError};

const MAGIC: &[u8; 8] = b"NOVAQLTY";
/// Changes with the form, and with what a forest's inputs mean.
const VERSION: u32 = 2;
/// More trees than this are no forest but a mistake.
const MOST_TREES: usize = 100_000;

/// Why bytes are no [`Quality`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// It does not begin as one.
    #[error("these bytes are no quality artefact")]
    Foreign,
    /// Another version of the format.
    #[error("the artefact has format {0}, and this version reads format 2: train it again")]
    Format(u32),
    /// It was trained on features that are no longer the same.
    #[error(
        "the artefact was trained on version {0} of the features, and this version has others: train it again"
    )]
    Features(u32),
    /// It ends too soon, is longer than it says, or was changed.
    #[error("the artefact was cut or changed: its checksum does not hold")]
    Broken,
    /// A name is no text.
    #[error("a name in the artefact is no text")]
    Name,
    /// What it holds does not fit together.
    #[error("the artefact cannot be used: {0}")]
    Content(#[from] QualityError),
}

impl Quality {
    /// The artefact: the same bytes for the same content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let counts = [self.models.len(), self.kinds.len(), self.buckets.len()].map(|count| count as u32);
        [VERSION, features::VERSION].iter().chain(&counts).for_each(|word| bytes.extend(word.to_le_bytes()));
        let names = self.models.iter().chain(&self.kinds).chain([&self.provenance]);
        for name in names {
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend(name.as_bytes());
        }
        let cells = self.cells.iter().flat_map(|cell| [cell.mean, cell.mass, cell.output_tokens]);
        let floats = cells.chain(self.steps.iter().copied()).chain(self.dense.iter().copied());
        floats.for_each(|float| bytes.extend(float.to_le_bytes()));
        self.buckets.iter().for_each(|bucket| bytes.extend(bucket.to_le_bytes()));
        bytes.extend(self.weights.iter().map(|weight| weight.cast_unsigned()));
        let forest = &self.forest;
        [CHOICES as u32, forest.trees() as u32].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        for (input, above) in &forest.asks {
            bytes.extend(input.to_le_bytes());
            bytes.extend(above.to_le_bytes());
        }
        forest.leaves.iter().for_each(|leaf| bytes.extend(leaf.to_le_bytes()));
        let sum = fnv(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// Reads an artefact, and holds it against everything that could be wrong with it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtefactError> {
        let Some((MAGIC, _)) = bytes.split_first_chunk() else { return Err(ArtefactError::Foreign) };
        let Some((body, sum)) = bytes.split_last_chunk() else { return Err(ArtefactError::Broken) };
        if fnv(body) != u64::from_le_bytes(*sum) {
            return Err(ArtefactError::Broken);
        }
        let mut read = Reader(body.get(MAGIC.len()..).unwrap_or_default());
        let [version, features] = [read.word()?, read.word()?];
        if version != VERSION {
            return Err(ArtefactError::Format(version));
        }
        if features != features::VERSION {
            return Err(ArtefactError::Features(features));
        }
        let [models, kinds, buckets] = [read.word()? as usize, read.word()? as usize, read.word()? as usize];
        if models > MOST || kinds > MOST || buckets > BUCKETS {
            return Err(QualityError::Count.into());
        }
        let columns = models + kinds;
        let models: Vec<Box<str>> = (0..models).map(|_| read.text()).collect::<Result<_, _>>()?;
        let kinds: Vec<Box<str>> = (0..kinds).map(|_| read.text()).collect::<Result<_, _>>()?;
        let provenance = read.text()?;
        let cells = read.floats(3 * models.len() * kinds.len())?;
        let cells =
            cells.chunks_exact(3).map(|of| Cell { mean: of[0], mass: of[1], output_tokens: of[2] }).collect();
        let (steps, dense) = (read.floats(columns)?, read.floats(DENSE * columns)?);
        let words = read.take(4 * buckets)?;
        let weights = read.take(buckets * columns)?.iter().map(|byte| byte.cast_signed()).collect();
        let forest = read.forest(models.len())?;
        if !read.0.is_empty() {
            return Err(ArtefactError::Broken);
        }
        let buckets = words.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let places = Vec::new();
        Ok(Self { models, kinds, provenance, cells, steps, dense, buckets, weights, forest, places }
            .checked()?)
    }
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], ArtefactError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ArtefactError::Broken)?;
        self.0 = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u32, ArtefactError> {
        let (word, rest) = self.0.split_first_chunk().ok_or(ArtefactError::Broken)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*word))
    }

    fn text(&mut self) -> Result<Box<str>, ArtefactError> {
        let length = self.word()? as usize;
        std::str::from_utf8(self.take(length)?).map(Into::into).map_err(|_| ArtefactError::Name)
    }

    fn forest(&mut self, outputs: usize) -> Result<Forest, ArtefactError> {
        let [inputs, trees] = [self.word()? as usize, self.word()? as usize];
        if inputs != CHOICES || trees > MOST_TREES {
            return Err(QualityError::Count.into());
        }
        if trees == 0 {
            return Ok(Forest::default());
        }
        let asks = (0..trees * DEPTH).map(|_| Ok((self.word()?, f32::from_bits(self.word()?))));
        let asks = asks.collect::<Result<_, ArtefactError>>()?;
        Ok(Forest { inputs, outputs, asks, leaves: self.floats(trees * LEAVES * outputs)? })
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, ArtefactError> {
        let bytes = self.take(4 * count)?;
        Ok(bytes.as_chunks().0.iter().map(|float| f32::from_le_bytes(*float)).collect())
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Judgement, Learnt};
    use super::*;
    use crate::features::{Features, extract};

    /// Two kinds, three models; the word of a bucket makes the second model good.
    fn learnt() -> Learnt {
        let columns = 5;
        let mut weights = vec![0.0; (BUCKETS + DENSE) * columns];
        weights[17 * columns..18 * columns].copy_from_slice(&[2.0, -2.0, 0.0, 4.0, -4.0]);
        weights[(BUCKETS + 3) * columns + 1] = 0.5;
        let cell = |mean: f32| Cell { mean, mass: 20.0, output_tokens: 100.0 * mean };
        Learnt {
            models: ["small", "middle", "large"].map(String::from).to_vec(),
            kinds: ["code", "chat"].map(String::from).to_vec(),
            provenance: "six answers".into(),
            cells: [0.2, 0.5, 0.9, 0.6, 0.7, 0.8].map(cell).to_vec(),
            weights,
            forest: Forest {
                inputs: CHOICES,
                outputs: 3,
                asks: [(0, 3.5), (1, 40.0), (6, 0.5), (6, 1.5)].to_vec(),
                leaves: (0..3 * LEAVES).map(|leaf| if leaf < 3 { 0.0 } else { 0.01 * leaf as f32 }).collect(),
            },
        }
    }

    fn judged(quality: &Quality, features: &Features) -> Judgement {
        let mut judgement = Judgement::default();
        quality.judge(features, &mut judgement);
        judgement
    }

    #[test]
    fn the_table_and_the_heads_are_worked_as_by_hand() {
        let quality = Quality::of(&learnt()).unwrap();
        let mut features = Features::default();
        let none = judged(&quality, &features);
        assert_eq!(none.kinds, [0.5, 0.5]);
        let table: Vec<f32> = none.models.iter().map(|model| model.table).collect();
        for (says, expected) in table.iter().zip([0.4, 0.6, 0.85]) {
            assert!((says - expected).abs() < 1e-6, "{table:?}");
        }
        assert!((none.models[0].quality - 0.45).abs() < 1e-6, "the mean of 0.4 and of even odds");
        assert!((none.models[1].output_tokens.unwrap() - 60.0).abs() < 1e-4);
        assert!(none.models[0].low < none.models[0].quality);

        features.hashed.push((17, 1.0));
        let some = judged(&quality, &features);
        let code = 1.0 / (1.0 + (-2.0_f32).exp());
        assert!(
            (some.kinds[0] - code).abs() < 1e-3 && (some.kinds[1] - (1.0 - code)).abs() < 1e-3,
            "{some:?}"
        );
        assert!((some.models[1].head - 1.0 / (1.0 + (-4.0_f32).exp())).abs() < 1e-3);
        assert!(some.models[2].head < 0.03);
    }

    #[test]
    fn the_forest_corrects_by_what_the_question_looks_like() {
        let quality = Quality::of(&learnt()).unwrap();
        let check = |text: &str, corrected: bool| {
            let mut features = Features::default();
            extract(text, &mut features);
            let expected = judged(&quality, &features).models[2];
            let mean = f32::midpoint(expected.table, expected.head);
            assert_eq!(expected.quality > mean + 1e-3, corrected, "{text}: {expected:?}");
            assert!((0.0..=1.0).contains(&expected.quality));
        };
        check("Who wrote Hamlet?", false);
        check("What is 12 + 30?", true);
        check("Pick one.\nA. a\nB. b\nC. c\nD. d", true);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let check = |spoil: fn(&mut Learnt), error: QualityError| {
            let mut learnt = learnt();
            spoil(&mut learnt);
            assert_eq!(Quality::of(&learnt), Err(error));
        };
        check(
            |learnt| {
                learnt.cells.pop();
            },
            QualityError::Length,
        );
        check(
            |learnt| {
                learnt.weights.pop();
            },
            QualityError::Length,
        );
        check(|learnt| learnt.cells[0].mean = 1.5, QualityError::Range);
        check(|learnt| learnt.cells[0].mass = f32::NAN, QualityError::Range);
        check(|learnt| learnt.weights[BUCKETS * 5] = f32::INFINITY, QualityError::Range);
        check(|learnt| *learnt = Learnt::default(), QualityError::Count);
        check(|learnt| learnt.forest.outputs = 2, QualityError::Length);
        check(|learnt| learnt.forest.asks[0].0 = 9_999, QualityError::Range);
    }

    #[test]
    fn an_artefact_gives_back_what_was_packed() {
        let quality = Quality::of(&learnt()).unwrap();
        let bytes = quality.to_bytes();
        assert_eq!(Quality::from_bytes(&bytes), Ok(quality));
        assert!(bytes.len() < 6_000, "a bucket without weights takes no room: {}", bytes.len());
    }

    #[test]
    fn bytes_that_are_no_artefact_are_refused_with_the_reason() {
        let good = Quality::of(&learnt()).unwrap().to_bytes();
        let sealed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good[..good.len() - 8].to_vec();
            change(&mut bytes);
            let sum = fnv(&bytes);
            bytes.extend(sum.to_le_bytes());
            Quality::from_bytes(&bytes).map(|_| ())
        };
        assert_eq!(sealed(&|_| ()), Ok(()));
        assert_eq!(Quality::from_bytes(b"{}"), Err(ArtefactError::Foreign));
        assert_eq!(Quality::from_bytes(&good[..good.len() - 1]), Err(ArtefactError::Broken));
        assert_eq!(Quality::from_bytes(MAGIC), Err(ArtefactError::Broken));
        assert_eq!(sealed(&|bytes| bytes[8] = 9), Err(ArtefactError::Format(9)));
        assert_eq!(sealed(&|bytes| bytes[12] = 200), Err(ArtefactError::Features(200)));
        assert_eq!(sealed(&|bytes| bytes[16..20].fill(0xff)), Err(QualityError::Count.into()));
        assert_eq!(sealed(&|bytes| bytes[16..20].fill(0)), Err(QualityError::Count.into()));
        assert_eq!(sealed(&|bytes| bytes.push(0)), Err(ArtefactError::Broken));
        // The first name's first letter.
        assert_eq!(sealed(&|bytes| bytes[32] = 0xff), Err(ArtefactError::Name));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0_usize..5_000, byte: u8, cut in 0_usize..5_000, sealed: bool) {
            let mut bytes = Quality::of(&learnt()).unwrap().to_bytes();
            bytes.truncate(bytes.len() - 8);
            let last = bytes.len() - 1;
            bytes[at.min(last)] = byte;
            bytes.truncate(last.saturating_sub(cut / 2).max(8));
            if sealed {
                let sum = fnv(&bytes);
                bytes.extend(sum.to_le_bytes());
            }
            if let Ok(quality) = Quality::from_bytes(&bytes) {
                let mut features = Features::default();
                extract("Write a story about a table of numbers", &mut features);
                features.hashed.push((17, 1.0));
                for expected in judged(&quality, &features).models {
                    prop_assert!((0.0..=1.0).contains(&expected.quality), "{expected:?}");
                }
            }
        }
    }
}

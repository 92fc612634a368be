//! What the classifier learnt: a linear model over [`features`](crate::features), in a compact file.
//!
//! The file, numbers in little endian: [`MAGIC`], the versions of this format and of the features, how many
//! buckets, dense features and tasks there are, the temperature, the threshold, a scale for each task, the
//! dense weights, one bit for each bucket that has weights, those weights as signed bytes, and a checksum
//! (FNV-1a, 64 bits) of all that.

use crate::features::{BUCKETS, DENSE, Features, VERSION};

use super::TASKS;

/// What a file of weights begins with.
const MAGIC: [u8; 8] = *b"novatask";
/// The version of the format.
const FORMAT: u32 = 1;
/// The weights of a bucket take this many places, so that they stand in one line of the cache.
const LANES: usize = 16;

/// A trained classifier.
#[derive(Debug, PartialEq)]
pub struct Model {
    /// Weights of the buckets, to be multiplied by the scales.
    hashed: Box<[[i8; LANES]]>,
    scales: [f32; TASKS],
    dense: Box<[[f32; TASKS]]>,
    temperature: f32,
    threshold: f32,
}

/// What a model is made of, before it is made small.
#[derive(Clone, Debug)]
pub struct Weights {
    /// One row for each bucket.
    pub hashed: Vec<[f32; TASKS]>,
    /// One row for each dense feature.
    pub dense: Vec<[f32; TASKS]>,
    /// What the scores are divided by, so that confidence says how often the task is right.
    pub temperature: f32,
    /// Below this confidence the task is not known.
    pub threshold: f32,
}

/// Why a file is no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// It is another kind of file.
    #[error("it is no model of tasks")]
    Kind,
    /// It was made for another version.
    #[error(
        "its {what} is {found}, and this version reads {wanted}\nhint: train it again: `novastack train tasks`"
    )]
    Version {
        /// Of what.
        what: &'static str,
        /// What the file says.
        found: u32,
        /// What would be read.
        wanted: u32,
    },
    /// It ends too early, goes on too long, or holds numbers that are none.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

impl Model {
    /// Reads a file of weights.
    ///
    /// # Errors
    /// What is wrong with the file; it never panics.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let body = bytes.strip_prefix(&MAGIC).ok_or(ModelError::Kind)?;
        let (body, sum) = body.split_last_chunk::<8>().ok_or(ModelError::Damaged("it ends too early"))?;
        let mut reader = Reader(body);
        let shape = [
            ("format", FORMAT),
            ("version of the features", VERSION),
            ("number of buckets", BUCKETS as u32),
            ("number of dense features", DENSE as u32),
            ("number of tasks", TASKS as u32),
        ];
        for (what, wanted) in shape {
            let found = u32::from_le_bytes(reader.take()?);
            if found != wanted {
                return Err(ModelError::Version { what, found, wanted });
            }
        }
        if checksum(&bytes[..bytes.len() - 8]) != u64::from_le_bytes(*sum) {
            return Err(ModelError::Damaged("its checksum is wrong"));
        }
        let temperature = reader.number()?;
        let threshold = reader.number()?;
        if temperature <= 0.0 {
            return Err(ModelError::Damaged("its temperature is not above 0"));
        }
        let scales = reader.numbers()?;
        let dense = (0..DENSE).map(|_| reader.numbers()).collect::<Result<_, _>>()?;
        let mut hashed = vec![[0; LANES]; BUCKETS].into_boxed_slice();
        let bits: Vec<u8> = reader.bytes(BUCKETS / 8)?.to_vec();
        for (bucket, row) in hashed.iter_mut().enumerate() {
            if bits[bucket / 8] & (1 << (bucket % 8)) != 0 {
                let weights: [u8; TASKS] = reader.take()?;
                for (lane, weight) in row.iter_mut().zip(weights) {
                    *lane = weight.cast_signed();
                }
            }
        }
        if reader.0.is_empty() {
            Ok(Self { hashed, scales, dense, temperature, threshold })
        } else {
            Err(ModelError::Damaged("it goes on behind its end"))
        }
    }

    /// The probabilities of the tasks, in the order of [`Task::ALL`](super::Task::ALL).
    pub fn posterior(&self, features: &Features) -> [f32; TASKS] {
        softmax(&self.scores(features), self.temperature)
    }

    /// What the weights say of the tasks, before the temperature.
    pub fn scores(&self, features: &Features) -> [f32; TASKS] {
        let mut sums = [0.0; LANES];
        for &(bucket, value) in &features.hashed {
            let Some(row) = self.hashed.get(bucket as usize) else { continue };
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += f32::from(*weight) * value;
            }
        }
        let mut scores = [0.0; TASKS];
        for ((score, sum), scale) in scores.iter_mut().zip(sums).zip(self.scales) {
            *score = sum * scale;
        }
        for (row, value) in self.dense.iter().zip(features.dense) {
            for (score, weight) in scores.iter_mut().zip(row) {
                *score += weight * value;
            }
        }
        scores
    }

    /// Below this confidence the task is not known.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }
}

/// Scores as probabilities; the higher the temperature, the less they differ.
pub fn softmax(scores: &[f32; TASKS], temperature: f32) -> [f32; TASKS] {
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let powers = scores.map(|score| ((score - top) / temperature).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}

impl Weights {
    /// Keeps the `keep` buckets that matter most, and of the others nothing. A bucket matters by its largest
    /// weight, times how often it was met.
    pub fn prune(&mut self, keep: usize, met: &[f32]) {
        let most = |row: &[f32; TASKS]| row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
        let matters: Vec<f32> = self.hashed.iter().zip(met).map(|(row, met)| most(row) * met).collect();
        let mut sorted = matters.clone();
        sorted.sort_unstable_by(|one, other| other.total_cmp(one));
        let Some(&least) = sorted.get(keep) else { return };
        for (row, _) in self.hashed.iter_mut().zip(&matters).filter(|(_, matters)| **matters <= least) {
            *row = [0.0; TASKS];
        }
    }

    /// The file that [`Model::from_bytes`] reads. A task's scale is its largest weight over 127; buckets whose
    /// weights all round to zero are left out.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [FORMAT, VERSION, BUCKETS as u32, DENSE as u32, TASKS as u32] {
            bytes.extend(number.to_le_bytes());
        }
        let mut scales = [f32::MIN_POSITIVE; TASKS];
        for row in &self.hashed {
            for (scale, weight) in scales.iter_mut().zip(row) {
                *scale = scale.max(weight.abs() / 127.0);
            }
        }
        let dense = self.dense.iter().flatten();
        for number in [self.temperature, self.threshold].iter().chain(&scales).chain(dense) {
            bytes.extend(number.to_le_bytes());
        }
        let mut bits = vec![0_u8; BUCKETS / 8];
        let mut rows = Vec::new();
        for (bucket, row) in self.hashed.iter().enumerate().take(BUCKETS) {
            let mut small = [0_i8; TASKS];
            for ((small, weight), scale) in small.iter_mut().zip(row).zip(scales) {
                // At most 127 by the choice of the scale.
                *small = (weight / scale).round() as i8;
            }
            if small != [0; TASKS] {
                bits[bucket / 8] |= 1 << (bucket % 8);
                rows.extend(small.map(i8::cast_unsigned));
            }
        }
        bytes.extend(bits);
        bytes.extend(rows);
        let sum = checksum(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }
}

/// What is left of a file.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn bytes(&mut self, count: usize) -> Result<&'b [u8], ModelError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ModelError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(ModelError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<f32, ModelError> {
        let number = f32::from_le_bytes(self.take()?);
        if number.is_finite() { Ok(number) } else { Err(ModelError::Damaged("a number is none")) }
    }

    fn numbers(&mut self) -> Result<[f32; TASKS], ModelError> {
        let mut numbers = [0.0; TASKS];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Ok(numbers)
    }
}

/// FNV-1a over 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(start, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::extract;

    fn weights() -> Weights {
        let mut hashed = vec![[0.0; TASKS]; BUCKETS];
        for (bucket, row) in hashed.iter_mut().enumerate().step_by(3) {
            row[bucket % TASKS] = (bucket % 100) as f32 / 50.0 - 1.0;
        }
        let dense = (0..DENSE).map(|at| [at as f32 / 100.0; TASKS]).collect();
        Weights { hashed, dense, temperature: 0.8, threshold: 0.4 }
    }

    #[test]
    fn what_was_written_is_read() {
        let weights = weights();
        let model = Model::from_bytes(&weights.to_bytes()).unwrap();
        assert!((model.threshold() - 0.4).abs() < f32::EPSILON);
        let mut features = Features::default();
        extract("Write a poem about the sea, and explain it.", &mut features);
        let mut scores = [0.0; TASKS];
        for (bucket, value) in &features.hashed {
            for (score, weight) in scores.iter_mut().zip(weights.hashed[*bucket as usize]) {
                *score += weight * value;
            }
        }
        for (row, value) in weights.dense.iter().zip(features.dense) {
            for (score, weight) in scores.iter_mut().zip(row) {
                *score += weight * value;
            }
        }
        let (exact, small) = (softmax(&scores, 0.8), model.posterior(&features));
        assert!(
            exact.iter().zip(small).all(|(exact, small)| (exact - small).abs() < 0.02),
            "{exact:?} {small:?}"
        );
        assert!((small.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_damaged_file_is_refused_wherever_it_is_damaged() {
        let bytes = weights().to_bytes();
        let check = |bytes: &[u8], error: Option<ModelError>| {
            let found = Model::from_bytes(bytes).err();
            assert!(found.is_some());
            if error.is_some() {
                assert_eq!(found, error);
            }
        };
        check(b"", Some(ModelError::Kind));
        check(b"PNG of something", Some(ModelError::Kind));
        check(&bytes[..20], None);
        check(&bytes[..bytes.len() - 1], Some(ModelError::Damaged("its checksum is wrong")));
        for at in (8..bytes.len()).step_by(1009) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            check(&bytes, None);
        }
        let mut newer = bytes.clone();
        newer[12] += 1;
        let version = VERSION;
        check(
            &newer,
            Some(ModelError::Version {
                what: "version of the features",
                found: version + 1,
                wanted: version,
            }),
        );
        // A length that is wrong under a checksum that is right.
        let mut longer = bytes[..bytes.len() - 8].to_vec();
        longer.push(0);
        longer.extend(checksum(&longer).to_le_bytes());
        check(&longer, Some(ModelError::Damaged("it goes on behind its end")));
    }
}

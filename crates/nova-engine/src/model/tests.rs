//! The forward pass against a plain one in double precision, and against itself cut into pieces.

use super::{Cache, Config, Forward, Piece, Weights};
use crate::backend::{Isa, Pool};
use crate::gguf::GgufFile;
use crate::testing::TempFile;

const TOKENS: [u32; 40] = {
    let mut tokens = [0; 40];
    let mut i = 0;
    while i < 40 {
        tokens[i] = (i as u32 * 37 + 5) % 250;
        i += 1;
    }
    tokens
};

fn model(isa: Isa, threads: usize) -> Forward {
    let temp = TempFile::model(3);
    let file = GgufFile::open(temp.path()).unwrap();
    let config = Config::read(&file.header).unwrap();
    let weights = Weights::load(&file, &config, isa, 2).unwrap();
    Forward::new(config, weights, isa, Pool::new(threads).unwrap())
}

fn logits(model: &mut Forward, chunks: &[&[u32]]) -> Vec<f32> {
    let mut cache = Cache::default();
    let mut last = Vec::new();
    for tokens in chunks {
        last = model.run(&mut [Piece { tokens, cache: &mut cache, logits: true }]).remove(0);
    }
    assert_eq!(cache.len(), TOKENS.len());
    last
}

#[test]
fn logits_do_not_depend_on_how_a_prompt_is_cut() {
    for isa in Isa::available() {
        let mut model = model(isa, 1);
        let whole = logits(&mut model, &[&TOKENS]);
        for size in [1, 7, 16, 39] {
            let chunks: Vec<_> = TOKENS.chunks(size).collect();
            assert!(logits(&mut model, &chunks) == whole, "{} in pieces of {size}", isa.name());
        }
    }
}

#[test]
fn logits_do_not_depend_on_threads_or_neighbours() {
    let alone = logits(&mut model(Isa::detect(), 1), &[&TOKENS]);
    let mut model = model(Isa::detect(), 3);
    let mut caches = [Cache::default(), Cache::default(), Cache::default()];
    let [a, b, c] = &mut caches;
    let mut pieces = [
        Piece { tokens: &TOKENS[3..20], cache: a, logits: true },
        Piece { tokens: &TOKENS, cache: b, logits: true },
        Piece { tokens: &TOKENS[..9], cache: c, logits: false },
    ];
    let crowd = model.run(&mut pieces);
    assert_eq!(crowd.len(), 2, "one row of logits per piece that wants them");
    assert!(crowd[1] == alone);
}

#[test]
fn logits_do_not_depend_on_the_kernel() {
    let reference = logits(&mut model(Isa::Scalar, 1), &[&TOKENS]);
    for isa in Isa::available() {
        assert!(logits(&mut model(isa, 1), &[&TOKENS]) == reference, "{}", isa.name());
    }
}

#[test]
fn logits_are_those_of_the_plain_model() {
    let temp = TempFile::model(3);
    let plain = plain::logits(&GgufFile::open(temp.path()).unwrap(), &TOKENS);
    for isa in Isa::available() {
        let ours = logits(&mut model(isa, 2), &[&TOKENS]);
        let (mut error, mut power) = (0.0, 0.0);
        for (ours, plain) in ours.iter().zip(&plain) {
            error += (f64::from(*ours) - plain).powi(2);
            power += plain.powi(2);
        }
        // The rest is the rounding of activations to int8, some 0.4 % in each of 28 products.
        let relative = (error / power).sqrt();
        assert!(relative < 0.05, "{}: relative error {relative}", isa.name());
    }
}

/// The same model as simply as it can be written.
mod plain {
    use super::Config;
    use crate::gguf::GgufFile;

    type Row = Vec<f64>;

    fn matrix(file: &GgufFile, name: &str) -> Vec<Row> {
        let info = file.require(name).unwrap();
        let values = file.read_f32(info).unwrap();
        values.chunks(info.row).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect()
    }

    fn times(matrix: &[Row], x: &[f64]) -> Row {
        matrix.iter().map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    }

    fn norm(x: &[f64], weight: &[f64]) -> Row {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        x.iter().zip(weight).map(|(x, w)| x / (mean + 1e-5).sqrt() * w).collect()
    }

    fn turn(x: &mut [f64], size: usize, position: usize) {
        for head in x.chunks_mut(size) {
            for i in 0..size / 2 {
                let angle = position as f64 * 10_000_f64.powf(-2.0 * i as f64 / size as f64);
                let (a, b) = (head[2 * i], head[2 * i + 1]);
                head[2 * i] = a * angle.cos() - b * angle.sin();
                head[2 * i + 1] = a * angle.sin() + b * angle.cos();
            }
        }
    }

    fn attend(c: &Config, query: &[f64], keys: &[Row], values: &[Row]) -> Row {
        let size = c.head_size;
        let mut out = Vec::new();
        for (h, query) in query.chunks(size).enumerate() {
            let at = h / (c.heads / c.kv_heads) * size;
            let dot = |key: &Row| query.iter().zip(&key[at..]).map(|(q, k)| q * k).sum::<f64>();
            let weights: Row = keys.iter().map(|key| (dot(key) / (size as f64).sqrt()).exp()).collect();
            let total: f64 = weights.iter().sum();
            out.extend(
                (at..at + size)
                    .map(|d| weights.iter().zip(values).map(|(w, v)| w * v[d]).sum::<f64>() / total),
            );
        }
        out
    }

    /// Logits after the last of `tokens`.
    pub(super) fn logits(file: &GgufFile, tokens: &[u32]) -> Row {
        let c = Config::read(&file.header).unwrap();
        let embedding = matrix(file, "token_embd.weight");
        let mut stream: Vec<Row> = tokens.iter().map(|token| embedding[*token as usize].clone()).collect();
        for layer in 0..c.layers {
            let part = |name: &str| matrix(file, &format!("blk.{layer}.{name}.weight"));
            let (q, k, v) = (part("attn_q"), part("attn_k"), part("attn_v"));
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for (position, x) in stream.iter_mut().enumerate() {
                let normed = norm(x, &part("attn_norm")[0]);
                let (mut query, mut key) = (times(&q, &normed), times(&k, &normed));
                turn(&mut query, c.head_size, position);
                turn(&mut key, c.head_size, position);
                keys.push(key);
                values.push(times(&v, &normed));
                let out = times(&part("attn_output"), &attend(&c, &query, &keys, &values));
                x.iter_mut().zip(out).for_each(|(x, y)| *x += y);
            }
            let (gate, up, down) = (part("ffn_gate"), part("ffn_up"), part("ffn_down"));
            for x in &mut stream {
                let normed = norm(x, &part("ffn_norm")[0]);
                let gated = times(&gate, &normed).into_iter().map(|g| g / (1.0 + (-g).exp()));
                let hidden: Row = gated.zip(times(&up, &normed)).map(|(g, u)| g * u).collect();
                x.iter_mut().zip(times(&down, &hidden)).for_each(|(x, y)| *x += y);
            }
        }
        let last = norm(stream.last().unwrap(), &matrix(file, "output_norm.weight")[0]);
        times(&matrix(file, "output.weight"), &last)
    }
}

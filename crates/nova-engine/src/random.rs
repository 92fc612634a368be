//! A small model of random weights: nonsense in, nonsense out, but by the same code as a real one.
//!
//! It lets tests of everything around the weights run where no weights are. The file is the same for the same seed.

use std::path::Path;

use crate::error::EngineError;
use crate::gguf::{BLOCK, TensorKind};
use crate::tokenizer::byte_char;

const LAYERS: usize = 4;
const WIDTH: usize = 128;
const HIDDEN: usize = 256;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const CONTEXT: usize = 1_024;
const ALIGNMENT: usize = 32;
const CONTROL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
/// Words that get merges, letter by letter from the left, so that merging is exercised.
const WORDS: [&str; 12] =
    [" the", " and", " of", " to", "ing", " is", "user", "system", "assistant", " hello", "ation", "\n\n"];
const TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message['role'] + '\n' + message['content'] }}<|im_end|>\n\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// Writes a model of about 0.8 MB to `path`: Llama architecture, four layers, a vocabulary of all bytes and a few words,
/// a ChatML template, a context of 1,024 tokens, several kinds of quantisation.
///
/// # Errors
/// [`EngineError::Io`] if the file cannot be written.
pub fn random_model(seed: u64, path: &Path) -> Result<(), EngineError> {
    std::fs::write(path, bytes(seed)).map_err(EngineError::io("write", path))
}

/// The model file's content.
pub(crate) fn bytes(seed: u64) -> Vec<u8> {
    let (tokens, merges) = vocabulary();
    let mut random = Random(seed);
    let tensors = tensors(tokens.len());
    let mut file = Writer::default();
    file.0.extend_from_slice(b"GGUF");
    file.u32(3);
    file.u64(tensors.len());
    let mut pairs = Writer::default();
    let count = header(&mut pairs, &tokens, &merges);
    file.u64(count);
    file.0.extend(pairs.0);

    let mut data = Vec::new();
    for Tensor { name, kind, row, rows } in &tensors {
        data.resize(usize::next_multiple_of(data.len(), ALIGNMENT), 0);
        file.text(name);
        file.u32(if *rows == 1 { 1 } else { 2 });
        file.u64(*row);
        if *rows != 1 {
            file.u64(*rows);
        }
        file.u32(kind.code());
        file.u64(data.len());
        random.fill(*kind, *row, row * rows, &mut data);
    }
    file.0.resize(file.0.len().next_multiple_of(ALIGNMENT), 0);
    file.0.extend(data);
    file.0
}

/// All control tokens, all bytes, then what the merges make.
fn vocabulary() -> (Vec<String>, Vec<String>) {
    let mut tokens: Vec<String> = CONTROL.iter().map(|&token| token.to_owned()).collect();
    tokens.extend((0..=255).map(|byte| byte_char(byte).to_string()));
    let mut merges = Vec::new();
    for word in WORDS {
        let mut joined = String::new();
        for letter in word.bytes().map(byte_char) {
            if !joined.is_empty() {
                let merge = format!("{joined} {letter}");
                if !merges.contains(&merge) {
                    tokens.push(format!("{joined}{letter}"));
                    merges.push(merge);
                }
            }
            joined.push(letter);
        }
    }
    (tokens, merges)
}

/// Writes the key-value pairs; returns their number.
fn header(file: &mut Writer, tokens: &[String], merges: &[String]) -> usize {
    let texts = [
        ("general.architecture", "llama"),
        ("general.name", "random"),
        ("tokenizer.ggml.model", "gpt2"),
        ("tokenizer.ggml.pre", "smollm"),
        ("tokenizer.chat_template", TEMPLATE),
    ];
    for (key, text) in texts {
        file.text(key);
        file.u32(8);
        file.text(text);
    }
    let numbers = [
        ("llama.block_count", LAYERS),
        ("llama.context_length", CONTEXT),
        ("llama.embedding_length", WIDTH),
        ("llama.feed_forward_length", HIDDEN),
        ("llama.attention.head_count", HEADS),
        ("llama.attention.head_count_kv", KV_HEADS),
        ("tokenizer.ggml.bos_token_id", 1),
        ("tokenizer.ggml.eos_token_id", 2),
    ];
    for (key, number) in numbers {
        file.text(key);
        file.u32(10);
        file.u64(number);
    }
    for (key, list) in [("tokenizer.ggml.tokens", tokens), ("tokenizer.ggml.merges", merges)] {
        file.text(key);
        file.u32(9);
        file.u32(8);
        file.u64(list.len());
        list.iter().for_each(|text| file.text(text));
    }
    file.text("tokenizer.ggml.token_type");
    file.u32(9);
    file.u32(5);
    file.u64(tokens.len());
    for id in 0..tokens.len() {
        file.u32(if id < CONTROL.len() { 3 } else { 1 });
    }
    texts.len() + numbers.len() + 3
}

struct Tensor {
    name: String,
    kind: TensorKind,
    row: usize,
    rows: usize,
}

fn tensors(vocabulary: usize) -> Vec<Tensor> {
    let tensor = |name: String, kind, row, rows| Tensor { name, kind, row, rows };
    let kv = WIDTH / HEADS * KV_HEADS;
    let mut tensors = vec![
        tensor("token_embd.weight".to_owned(), TensorKind::Q8_0, WIDTH, vocabulary),
        tensor("output.weight".to_owned(), TensorKind::Q8_0, WIDTH, vocabulary),
        tensor("output_norm.weight".to_owned(), TensorKind::F32, WIDTH, 1),
    ];
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        tensors.extend([
            tensor(name("attn_norm"), TensorKind::F32, WIDTH, 1),
            tensor(name("attn_q"), TensorKind::Q4_1, WIDTH, WIDTH),
            tensor(name("attn_k"), TensorKind::Q4_1, WIDTH, kv),
            tensor(name("attn_v"), TensorKind::F16, WIDTH, kv),
            tensor(name("attn_output"), TensorKind::Q8_0, WIDTH, WIDTH),
            tensor(name("ffn_norm"), TensorKind::F32, WIDTH, 1),
            tensor(name("ffn_gate"), TensorKind::Q8_0, WIDTH, HIDDEN),
            tensor(name("ffn_up"), TensorKind::Q4_0, WIDTH, HIDDEN),
            tensor(name("ffn_down"), TensorKind::Q8_0, HIDDEN, WIDTH),
        ]);
    }
    tensors
}

/// The format's primitive types, little endian.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, number: u32) {
        self.0.extend(number.to_le_bytes());
    }

    fn u64(&mut self, number: usize) {
        self.0.extend((number as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u64(text.len());
        self.0.extend(text.bytes());
    }
}

/// SplitMix64 (Steele et al., 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    /// Appends `count` weights of variance `1 / row`, or ones where the kind is that of norms.
    fn fill(&mut self, kind: TensorKind, row: usize, count: usize, out: &mut Vec<u8>) {
        let unit = 1.0 / (row as f32).sqrt();
        if kind == TensorKind::F32 {
            return out.extend(std::iter::repeat_n(1.0_f32.to_le_bytes(), count).flatten());
        }
        for _ in 0..count / BLOCK {
            // The divisors are the standard deviations of 8- and 4-bit integers that are all equally likely.
            let (scale, offset, bytes) = match kind {
                TensorKind::Q4_0 => (unit / 4.6, None, BLOCK / 2),
                TensorKind::Q4_1 => (unit / 4.6, Some(-7.5 * unit / 4.6), BLOCK / 2),
                TensorKind::Q8_0 => (unit / 73.9, None, BLOCK),
                _ => {
                    for _ in 0..BLOCK {
                        let value = (f32::from(self.byte()) - 127.5) / 73.9 * unit;
                        out.extend(half(value).to_le_bytes());
                    }
                    continue;
                }
            };
            out.extend(half(scale).to_le_bytes());
            out.extend(offset.into_iter().flat_map(|offset| half(offset).to_le_bytes()));
            out.extend((0..bytes).map(|_| self.byte()));
        }
    }
}

/// A float as a half, cut off; for magnitudes between 10⁻⁴ and 1 only.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = (bits >> 23 & 255).saturating_sub(112);
    (bits >> 16 & 0x8000 | exponent << 10 | bits >> 13 & 1023) as u16
}

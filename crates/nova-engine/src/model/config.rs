//! The shapes of a Llama model, read from the header and checked once; nothing else validates them.

use crate::backend::LANES;
use crate::error::EngineError;
use crate::gguf::{BLOCK, Header};

/// Bounds far above what this engine is for; they keep a damaged header from asking for terabytes.
const MAX_LAYERS: usize = 512;
const MAX_WIDTH: usize = 65_536;
const MAX_CONTEXT: usize = 1 << 20;

/// What a forward pass needs to know about the model besides its weights.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) layers: usize,
    /// Width of the residual stream.
    pub(crate) width: usize,
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_size: usize,
    pub(crate) context: usize,
    pub(crate) vocabulary: usize,
    pub(crate) epsilon: f32,
    pub(crate) rope_base: f32,
}

impl Config {
    /// Reads the shapes. `vocabulary` comes from the tokenizer's list, which is what logits are indexed by.
    pub(crate) fn read(header: &Header) -> Result<Self, EngineError> {
        let architecture = header.text("general.architecture").unwrap_or("none");
        if architecture != "llama" {
            return Err(unsupported(format!(
                "its architecture is `{architecture}`, only `llama` is built in"
            )));
        }
        if header.unsigned("llama.expert_count").unwrap_or(0) > 0 {
            return Err(unsupported("it is a mixture of experts"));
        }
        if header.text("llama.rope.scaling.type").is_some_and(|kind| kind != "none") {
            return Err(unsupported("it scales its rotary positions"));
        }
        let get = |key: &str| {
            let key = format!("llama.{key}");
            header.unsigned(&key).ok_or_else(|| unsupported(format!("`{key}` is missing or no number")))
        };
        let width = get("embedding_length")?;
        let heads = get("attention.head_count")?;
        let kv_heads = header.unsigned("llama.attention.head_count_kv").unwrap_or(heads);
        if heads == 0 || kv_heads == 0 || heads % kv_heads != 0 {
            return Err(unsupported(format!("it has `{heads}` heads on `{kv_heads}` key/value heads")));
        }
        let head_size = header.unsigned("llama.attention.key_length").unwrap_or(width / heads);
        let config = Self {
            layers: get("block_count")?,
            width,
            hidden: get("feed_forward_length")?,
            heads,
            kv_heads,
            head_size,
            context: get("context_length")?,
            vocabulary: header.texts("tokenizer.ggml.tokens").map_or(0, <[String]>::len),
            epsilon: header.float("llama.attention.layer_norm_rms_epsilon").unwrap_or(1e-5) as f32,
            rope_base: header.float("llama.rope.freq_base").unwrap_or(10_000.0) as f32,
        };
        config.check(header)?;
        Ok(config)
    }

    fn check(&self, header: &Header) -> Result<(), EngineError> {
        let rope = header.unsigned("llama.rope.dimension_count").unwrap_or(self.head_size);
        let value_length = header.unsigned("llama.attention.value_length").unwrap_or(self.head_size);
        let fits = |n: usize, unit: usize, most: usize| n > 0 && n <= most && n.is_multiple_of(unit);
        let checks = [
            ("block_count", self.layers, fits(self.layers, 1, MAX_LAYERS)),
            ("embedding_length", self.width, fits(self.width, BLOCK, MAX_WIDTH)),
            ("feed_forward_length", self.hidden, fits(self.hidden, BLOCK, 4 * MAX_WIDTH)),
            ("attention.key_length", self.head_size, fits(self.head_size, LANES, 1024)),
            ("attention.value_length", value_length, value_length == self.head_size),
            ("rope.dimension_count", rope, rope == self.head_size),
            (
                "attention.head_count",
                self.heads,
                fits(self.heads, 1, 4096) && fits(self.query_width(), BLOCK, MAX_WIDTH),
            ),
            ("context_length", self.context, fits(self.context, 1, MAX_CONTEXT)),
        ];
        for (key, value, good) in checks {
            if !good {
                return Err(unsupported(format!(
                    "`llama.{key}` is `{value}`, which this engine has no code for"
                )));
            }
        }
        if self.vocabulary == 0 {
            return Err(unsupported("it has no vocabulary"));
        }
        Ok(())
    }

    /// Width of all query heads side by side.
    pub(crate) fn query_width(&self) -> usize {
        self.heads * self.head_size
    }

    /// Width of all key heads (and of all value heads) side by side.
    pub(crate) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_size
    }
}

fn unsupported(reason: impl Into<String>) -> EngineError {
    EngineError::Unsupported(reason.into())
}

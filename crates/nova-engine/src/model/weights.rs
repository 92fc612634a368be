//! Weights: read in parallel, packed for the kernels of this processor while they are read.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Config;
use crate::backend::{Isa, Packed};
use crate::error::EngineError;
use crate::gguf::{GgufFile, TensorInfo};

/// Stored bytes that a thread reads and packs in one go: large enough to be quick, small enough to stay in its cache.
const PIECE_BYTES: usize = 1 << 20;

/// One transformer layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) query: Packed,
    pub(super) key: Packed,
    pub(super) value: Packed,
    pub(super) output: Packed,
    pub(super) feed_norm: Vec<f32>,
    pub(super) gate: Packed,
    pub(super) up: Packed,
    pub(super) down: Packed,
}

/// All weights of a model.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(super) layers: Vec<Layer>,
    pub(super) embedding: Packed,
    pub(super) output_norm: Vec<f32>,
    /// `None` where the embedding serves as the output matrix too.
    pub(super) head: Option<Packed>,
}

impl Weights {
    /// Reads and packs everything on `threads` threads.
    pub(crate) fn load(
        file: &GgufFile,
        config: &Config,
        isa: Isa,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let mut weights = Self::empty(file, config, isa)?;
        let todo: Mutex<Vec<_>> = Mutex::new(weights.work(file)?);
        let failure = Mutex::new(None);
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    while let Some((info, mut part)) = lock(&todo).pop() {
                        match file.read_rows(info, part.first, part.count) {
                            Ok(stored) => part.fill(&stored),
                            Err(e) => {
                                lock(&todo).clear();
                                *lock(&failure) = Some(e);
                            }
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        tracing::debug!(pieces = done.into_inner(), threads, "weights packed");
        drop(todo);
        match failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(e) => Err(e),
            None => Ok(weights),
        }
    }

    /// Matrices of the right shapes without their weights. Norms are small and read at once.
    fn empty(file: &GgufFile, c: &Config, isa: Isa) -> Result<Self, EngineError> {
        let matrix = |name: &str, rows: usize, row: usize| {
            let info = file.require(name)?;
            check(info, rows, row)?;
            Ok::<_, EngineError>(Packed::new(isa, info.kind, rows, row))
        };
        let norm = |name: &str| {
            let info = file.require(name)?;
            check(info, 1, c.width)?;
            file.read_f32(info)
        };
        let mut layers = Vec::with_capacity(c.layers);
        for i in 0..c.layers {
            let name = |part: &str| format!("blk.{i}.{part}.weight");
            layers.push(Layer {
                attention_norm: norm(&name("attn_norm"))?,
                query: matrix(&name("attn_q"), c.query_width(), c.width)?,
                key: matrix(&name("attn_k"), c.kv_width(), c.width)?,
                value: matrix(&name("attn_v"), c.kv_width(), c.width)?,
                output: matrix(&name("attn_output"), c.width, c.query_width())?,
                feed_norm: norm(&name("ffn_norm"))?,
                gate: matrix(&name("ffn_gate"), c.hidden, c.width)?,
                up: matrix(&name("ffn_up"), c.hidden, c.width)?,
                down: matrix(&name("ffn_down"), c.width, c.hidden)?,
            });
        }
        let head = match file.header.tensor("output.weight") {
            Some(_) => Some(matrix("output.weight", c.vocabulary, c.width)?),
            None => None,
        };
        Ok(Self {
            layers,
            embedding: matrix("token_embd.weight", c.vocabulary, c.width)?,
            output_norm: norm("output_norm.weight")?,
            head,
        })
    }

    /// Every matrix in pieces, each with the tensor that fills it.
    fn work<'a>(
        &'a mut self,
        file: &'a GgufFile,
    ) -> Result<Vec<(&'a TensorInfo, crate::backend::Part<'a>)>, EngineError> {
        let mut work = Vec::new();
        let mut add = |name: &str, matrix: &'a mut Packed| {
            let info = file.require(name)?;
            let rows = PIECE_BYTES / (info.bytes / info.rows).max(1);
            work.extend(matrix.parts(rows).into_iter().map(|part| (info, part)));
            Ok::<_, EngineError>(())
        };
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let name = |part: &str| format!("blk.{i}.{part}.weight");
            add(&name("attn_q"), &mut layer.query)?;
            add(&name("attn_k"), &mut layer.key)?;
            add(&name("attn_v"), &mut layer.value)?;
            add(&name("attn_output"), &mut layer.output)?;
            add(&name("ffn_gate"), &mut layer.gate)?;
            add(&name("ffn_up"), &mut layer.up)?;
            add(&name("ffn_down"), &mut layer.down)?;
        }
        add("token_embd.weight", &mut self.embedding)?;
        if let Some(head) = &mut self.head {
            add("output.weight", head)?;
        }
        Ok(work)
    }
}

fn check(info: &TensorInfo, rows: usize, row: usize) -> Result<(), EngineError> {
    if info.rows == rows && info.row == row {
        return Ok(());
    }
    let TensorInfo { name, row: has_row, rows: has_rows, .. } = info;
    Err(EngineError::Unsupported(format!(
        "its tensor `{name}` is {has_rows} × {has_row}, but its header asks for {rows} × {row}"
    )))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

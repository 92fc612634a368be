//! Counters of one engine, written by its model thread and its server, read by `/metrics`.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// All numbers that an engine publishes. Reading them is never exact to the same instant, and need not be.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) waiting: AtomicUsize,
    pub(crate) running: AtomicUsize,
    pub(crate) cache_blocks: AtomicUsize,
    pub(crate) cache_blocks_total: AtomicUsize,
    pub(crate) prompt_tokens: AtomicU64,
    pub(crate) generated_tokens: AtomicU64,
    pub(crate) steps: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) recomputed: AtomicU64,
    pub(crate) finished_stop: AtomicU64,
    pub(crate) finished_length: AtomicU64,
    pub(crate) cancelled: AtomicU64,
}

impl Gauges {
    /// The Prometheus text format. Names that vLLM has are vLLM's, so that its dashboards and pickers work.
    pub(crate) fn render(&self, model: &str) -> String {
        let used = self.cache_blocks.load(Ordering::Relaxed) as f64;
        let total = self.cache_blocks_total.load(Ordering::Relaxed).max(1) as f64;
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed) as f64;
        let level = |value: &AtomicUsize| value.load(Ordering::Relaxed) as f64;
        let rows = [
            ("vllm:num_requests_waiting", "gauge", "Requests that wait for room.", level(&self.waiting)),
            ("vllm:num_requests_running", "gauge", "Requests that hold cache.", level(&self.running)),
            ("vllm:kv_cache_usage_perc", "gauge", "Share of cache blocks in use, 0 to 1.", used / total),
            (
                "vllm:prompt_tokens_total",
                "counter",
                "Prompt tokens of finished prompts.",
                count(&self.prompt_tokens),
            ),
            ("vllm:generation_tokens_total", "counter", "Tokens generated.", count(&self.generated_tokens)),
            (
                "vllm:num_preemptions_total",
                "counter",
                "Sequences that gave their cache back.",
                count(&self.recomputed),
            ),
            ("nova_engine_steps_total", "counter", "Forward passes.", count(&self.steps)),
            (
                "nova_engine_rows_total",
                "counter",
                "Token rows computed, none of them padding.",
                count(&self.rows),
            ),
            (
                "nova_engine_finished_stop_total",
                "counter",
                "Answers that ended by themselves.",
                count(&self.finished_stop),
            ),
            (
                "nova_engine_finished_length_total",
                "counter",
                "Answers cut at a length.",
                count(&self.finished_length),
            ),
            ("nova_engine_cancelled_total", "counter", "Requests whose client left.", count(&self.cancelled)),
        ];
        let mut text = String::new();
        let label = model.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        for (name, kind, help, value) in rows {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{model_name=\"{label}\"}} {value}\n"
            );
        }
        text
    }
}

//! What is counted, in the Prometheus text format at `/metrics`.
//!
//! Labels are bounded: models, providers and deployments come from the configuration, codes from the
//! error table; nothing that a client sends becomes a label. [`METRICS`] names and explains every
//! metric; `schema/metrics.md` is generated from it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use nova_ledger::{UsageRecord, WriterStats};
use nova_wire::Dialect;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::error::GatewayError;

/// How many lines of the log were left out because nobody read them in time: the process has one log.
pub static LOG_LINES_LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Every metric: name, labels, meaning.
#[rustfmt::skip]
pub const METRICS: &[(&str, &str, &str)] = &[
    ("novastack_requests_total", "dialect, outcome, stream", "Requests that were planned, by how they ended."),
    ("novastack_refused_total", "dialect, code", "Requests that were refused before or after planning, by error code."),
    ("novastack_attempt_failures_total", "provider, outcome", "Attempts that failed and were retried, passed on, or told."),
    ("novastack_tokens_total", "provider, model, kind", "Tokens: input, cache_read, cache_write, output, reasoning (inside output)."),
    ("novastack_cost_nanousd_total", "provider, model", "Cost in billionths of a US dollar."),
    ("novastack_unpriced_total", "provider, model", "Answered requests whose model has no price."),
    ("novastack_estimated_usage_total", "provider, model", "Answered requests whose tokens the provider did not report."),
    ("novastack_gateway_seconds", "", "Time that the gateway itself took, without waiting for providers."),
    ("novastack_first_content_seconds", "", "Time from the request to the first content of a stream."),
    ("novastack_request_seconds", "", "Time from the request to the end of its answer."),
    ("novastack_bad_events_total", "", "Stream events of providers that could not be read and were skipped."),
    ("novastack_dropped_fields_total", "", "Request fields that the target could not carry, as named in `x-novastack-dropped`."),
    ("novastack_model_drift_total", "provider, model", "Answers of which the provider says that another model gave them than the one asked for."),
    ("novastack_open_receipts", "", "Requests that are planned and not settled."),
    ("novastack_reserved_nanousd", "", "The most that they can cost, in billionths of a US dollar."),
    ("novastack_usage_queued", "", "Usage records that wait to be written."),
    ("novastack_usage_written_total", "", "Usage records written to the store."),
    ("novastack_usage_journaled_total", "", "Usage records that went to the journal because the store could not take them."),
    ("novastack_upstream_connections", "", "Open connections to providers."),
    ("novastack_recalled_calls", "", "Calls of tools whose thinking is kept for the next turn."),
    ("novastack_recalled_bytes", "", "Bytes of that thinking."),
    ("novastack_shadows_total", "shadow, result", "Requests that a shadow was drawn for: answered, failed, busy (as many as may be were under way), over_budget, unfit (no deployment may or can take them)."),
    ("novastack_shadow_verdicts_total", "shadow, result", "Answers of shadows that were judged beside the client's: client or shadow (the better one), equal, none (no verdict that can be used, or no budget left for one)."),
    ("novastack_reloads_total", "result", "Reloads of the configuration."),
    ("novastack_log_lines_left_out_total", "", "Lines of the log that nobody read in time."),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    dialect: &'static str,
    outcome: &'static str,
    stream: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    dialect: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    provider: Arc<str>,
    model: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    provider: Arc<str>,
    model: Arc<str>,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShadowLabels {
    shadow: Arc<str>,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

/// The counters of one model at one provider. They are looked up once and kept beside the deployment: a
/// lookup hashes its labels, and a request would make half a dozen.
#[derive(Clone, Debug)]
pub struct ModelCounters {
    /// In the order of [`TOKEN_KINDS`].
    tokens: [Counter; TOKEN_KINDS.len()],
    cost: Counter,
}

const TOKEN_KINDS: [&str; 5] = ["input", "cache_read", "cache_write", "output", "reasoning"];

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    attempt_failures: Family<AttemptLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    cost: Family<ModelLabels, Counter>,
    unpriced: Family<ModelLabels, Counter>,
    estimated: Family<ModelLabels, Counter>,
    gateway_seconds: Histogram,
    first_content_seconds: Histogram,
    request_seconds: Histogram,
    bad_events: Counter,
    dropped_fields: Counter,
    drifts: Family<ModelLabels, Counter>,
    shadows: Family<ShadowLabels, Counter>,
    verdicts: Family<ShadowLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    open: Gauge,
    held: Gauge,
    /// Requests that are planned and not settled.
    pub open_receipts: AtomicI64,
    /// The most that they can cost, in billionths of a US dollar.
    pub reserved: AtomicI64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let micro = || Histogram::new([20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 20e-3, 0.1]);
        let second = || Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]);
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            refused: Family::default(),
            attempt_failures: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            unpriced: Family::default(),
            estimated: Family::default(),
            gateway_seconds: micro(),
            first_content_seconds: second(),
            request_seconds: second(),
            bad_events: Counter::default(),
            dropped_fields: Counter::default(),
            drifts: Family::default(),
            shadows: Family::default(),
            verdicts: Family::default(),
            reloads: Family::default(),
            open: Gauge::default(),
            held: Gauge::default(),
            open_receipts: AtomicI64::new(0),
            reserved: AtomicI64::new(0),
        };
        metrics.register();
        metrics
    }

    /// The registry takes a counter's name without `_total` and adds it by itself.
    fn register(&mut self) {
        let help = |name: &str| {
            METRICS
                .iter()
                .find(|(known, ..)| *known == name)
                .map_or("", |(_, _, meaning)| *meaning)
                .trim_end_matches('.')
        };
        let r = &mut self.registry;
        r.register("novastack_requests", help("novastack_requests_total"), self.requests.clone());
        r.register("novastack_refused", help("novastack_refused_total"), self.refused.clone());
        r.register(
            "novastack_attempt_failures",
            help("novastack_attempt_failures_total"),
            self.attempt_failures.clone(),
        );
        r.register("novastack_tokens", help("novastack_tokens_total"), self.tokens.clone());
        r.register("novastack_cost_nanousd", help("novastack_cost_nanousd_total"), self.cost.clone());
        r.register("novastack_unpriced", help("novastack_unpriced_total"), self.unpriced.clone());
        r.register(
            "novastack_estimated_usage",
            help("novastack_estimated_usage_total"),
            self.estimated.clone(),
        );
        r.register(
            "novastack_gateway_seconds",
            help("novastack_gateway_seconds"),
            self.gateway_seconds.clone(),
        );
        r.register(
            "novastack_first_content_seconds",
            help("novastack_first_content_seconds"),
            self.first_content_seconds.clone(),
        );
        r.register(
            "novastack_request_seconds",
            help("novastack_request_seconds"),
            self.request_seconds.clone(),
        );
        r.register("novastack_bad_events", help("novastack_bad_events_total"), self.bad_events.clone());
        r.register(
            "novastack_dropped_fields",
            help("novastack_dropped_fields_total"),
            self.dropped_fields.clone(),
        );
        r.register("novastack_model_drift", help("novastack_model_drift_total"), self.drifts.clone());
        r.register("novastack_shadows", help("novastack_shadows_total"), self.shadows.clone());
        r.register(
            "novastack_shadow_verdicts",
            help("novastack_shadow_verdicts_total"),
            self.verdicts.clone(),
        );
        r.register("novastack_reloads", help("novastack_reloads_total"), self.reloads.clone());
        r.register("novastack_open_receipts", help("novastack_open_receipts"), self.open.clone());
        r.register("novastack_reserved_nanousd", help("novastack_reserved_nanousd"), self.held.clone());
    }

    /// Counts a request that was refused with an error.
    pub fn refused(&self, dialect: Dialect, error: &GatewayError) {
        let labels = RefusedLabels { dialect: dialect.as_str(), code: error.code.row().word };
        self.refused.get_or_create(&labels).inc();
    }

    /// Counts an attempt that did not answer.
    pub fn attempt_failed(&self, provider: &str, outcome: &'static str) {
        self.attempt_failures.get_or_create(&AttemptLabels { provider: provider.to_owned(), outcome }).inc();
    }

    /// Counts fields that a target could not carry.
    pub fn dropped(&self, fields: &[String]) {
        self.dropped_fields.inc_by(fields.len() as u64);
    }

    /// Counts an answer that another model gave than the one asked for.
    pub fn drifted(&self, provider: &Arc<str>, model: &Arc<str>) {
        let labels = ModelLabels { provider: Arc::clone(provider), model: Arc::clone(model) };
        self.drifts.get_or_create(&labels).inc();
    }

    /// Counts a request that a shadow was drawn for.
    pub fn shadowed(&self, shadow: &Arc<str>, result: &'static str) {
        self.shadows.get_or_create(&ShadowLabels { shadow: Arc::clone(shadow), result }).inc();
    }

    /// Counts a verdict on a shadow's answer: who was better.
    pub fn shadow_judged(&self, shadow: &Arc<str>, result: &'static str) {
        self.verdicts.get_or_create(&ShadowLabels { shadow: Arc::clone(shadow), result }).inc();
    }

    /// Counts a reload of the configuration.
    pub fn reloaded(&self, ok: bool) {
        self.reloads.get_or_create(&ReloadLabels { result: if ok { "ok" } else { "refused" } }).inc();
    }

    /// The counters of a model at a provider.
    pub fn of_model(&self, provider: &Arc<str>, model: &Arc<str>) -> ModelCounters {
        let (provider, model) = (Arc::clone(provider), Arc::clone(model));
        let tokens = TOKEN_KINDS.map(|kind| {
            let labels = TokenLabels { provider: Arc::clone(&provider), model: Arc::clone(&model), kind };
            self.tokens.get_or_create(&labels).clone()
        });
        let cost = self.cost.get_or_create(&ModelLabels { provider, model }).clone();
        ModelCounters { tokens, cost }
    }

    /// Counts a client's request that is settled.
    pub fn settled(&self, record: &UsageRecord, bad_events: u64) {
        let labels = RequestLabels {
            dialect: record.dialect.as_str(),
            outcome: record.outcome.as_str(),
            stream: if record.stream { "true" } else { "false" },
        };
        self.requests.get_or_create(&labels).inc();
        self.gateway_seconds.observe(seconds(record.overhead_us));
        self.request_seconds.observe(seconds(record.total_us));
        if let Some(first) = record.first_token_us {
            self.first_content_seconds.observe(seconds(first));
        }
        if bad_events > 0 {
            self.bad_events.inc_by(bad_events);
        }
    }

    /// Counts what a request has used; `answered` are the counters of who answered it.
    pub fn spent(&self, record: &UsageRecord, answered: Option<&ModelCounters>, unpriced: bool) {
        if let Some(counters) = answered {
            let usage = &record.usage;
            let counts = [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning];
            for (counter, count) in counters.tokens.iter().zip(counts) {
                counter.inc_by(count);
            }
            counters.cost.inc_by(u64::try_from(record.cost.nanos()).unwrap_or_default());
        }
        if !(unpriced || record.estimated) {
            return;
        }
        let (Some(provider), Some(model)) = (&record.provider, &record.model_answered) else { return };
        let labels = ModelLabels { provider: Arc::clone(provider), model: Arc::clone(model) };
        if unpriced {
            self.unpriced.get_or_create(&labels).inc();
        }
        if record.estimated {
            self.estimated.get_or_create(&labels).inc();
        }
    }

    /// The text exposition; `connections` is how many to providers are open, `recalled` the calls and bytes of
    /// thinking that is kept.
    pub fn expose(&self, usage: &WriterStats, connections: u64, recalled: (usize, usize)) -> String {
        self.open.set(self.open_receipts.load(Ordering::Relaxed));
        self.held.set(self.reserved.load(Ordering::Relaxed));
        let mut out = String::new();
        // Writing into a string cannot fail.
        let _ = text::encode_registry(&mut out, &self.registry);
        for (name, kind, value) in [
            ("novastack_usage_queued", "gauge", usage.queued),
            ("novastack_usage_written", "counter", usage.written),
            ("novastack_usage_journaled", "counter", usage.journaled),
            ("novastack_upstream_connections", "gauge", connections),
            ("novastack_recalled_calls", "gauge", recalled.0 as u64),
            ("novastack_recalled_bytes", "gauge", recalled.1 as u64),
            ("novastack_log_lines_left_out", "counter", LOG_LINES_LEFT_OUT.load(Ordering::Relaxed)),
        ] {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name}{suffix} {value}");
        }
        // The end marker of OpenMetrics has to stay last.
        out.replace("# EOF\n", "") + "# EOF\n"
    }
}

fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

/// The metric reference, as committed in `schema/metrics.md`.
pub fn reference() -> String {
    let mut out = String::from(
        "# Metrics\n\nGenerated from the gateway's metric table by `cargo xtask gen`; do not edit. \
         Served at `/metrics` in the OpenMetrics text format.\n\n| metric | labels | meaning |\n|---|---|---|\n",
    );
    for (name, labels, meaning) in METRICS {
        let _ = writeln!(out, "| `{name}` | {labels} | {meaning} |");
    }
    out
}

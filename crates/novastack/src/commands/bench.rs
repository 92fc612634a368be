//! `novastack bench`: a steady number of requests under way against a gateway, and what they took.
//!
//! It answers "how fast is my gateway with this model"; the comparison with peers is `cargo xtask bench`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::Args;
use nova_upstream::{Client, ClientOptions, Credential, CredentialId, Endpoint, Tls, TlsOptions};
use nova_wire::Dialect;

use crate::cli::Global;

/// Options of `novastack bench`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Bench {
    /// The gateway's base URL.
    #[arg(long, default_value = "http://127.0.0.1:6682/v1")]
    url: String,
    /// The key.
    #[arg(long, env = "NOVASTACK_KEY", hide_env_values = true)]
    key: String,
    /// The model to ask.
    #[arg(long, default_value = "nova-local-mini")]
    model: String,
    /// How many requests in all.
    #[arg(long, short = 'n', default_value_t = 100)]
    requests: usize,
    /// How many at a time.
    #[arg(long, short = 'p', default_value_t = 4)]
    parallel: usize,
    /// Ask for streams.
    #[arg(long)]
    stream: bool,
    /// The most tokens of an answer.
    #[arg(long, default_value_t = 16)]
    max_tokens: u64,
    /// What to say.
    #[arg(long, default_value = "Say hello.")]
    prompt: String,
}

#[derive(Debug)]
struct Sample {
    first: Duration,
    total: Duration,
    ok: bool,
}

/// Runs the requests and prints what they took.
pub(crate) fn run(global: &Global, bench: &Bench) -> Result<()> {
    ensure!(bench.parallel > 0 && bench.requests > 0, "`--requests` and `--parallel` must be at least 1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    let samples = runtime.block_on(measure(bench))?;
    print(global, &samples, begun.elapsed())
}

async fn measure(bench: &Bench) -> Result<Vec<Sample>> {
    let client = Arc::new(Client::new(ClientOptions::default(), Tls::new(&TlsOptions::default())?));
    let endpoint = Endpoint::parse(&bench.url, Dialect::Chat.path()).with_context(|| {
        format!("`{}` is no base URL\nhint: it looks like `http://127.0.0.1:6682/v1`", bench.url)
    })?;
    let body = serde_json::json!({
        "model": bench.model,
        "max_tokens": bench.max_tokens,
        "stream": bench.stream,
        "messages": [{ "role": "user", "content": bench.prompt }],
    });
    let ask = Arc::new(Ask {
        client,
        endpoint,
        credential: Credential::bearer(CredentialId::new("bench"), &bench.key)?,
        body: body.to_string().into(),
        left: AtomicUsize::new(bench.requests),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..bench.parallel.min(bench.requests) {
        tasks.spawn(Arc::clone(&ask).many());
    }
    Ok(tasks.join_all().await.into_iter().flatten().collect())
}

struct Ask {
    client: Arc<Client>,
    endpoint: Endpoint,
    credential: Credential,
    body: Bytes,
    left: AtomicUsize,
}

impl Ask {
    async fn many(self: Arc<Self>) -> Vec<Sample> {
        let mut samples = Vec::new();
        while self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        {
            let begun = Instant::now();
            let (first, ok) = match self.one(begun).await {
                Ok(first) => (first, true),
                Err(_) => (begun.elapsed(), false),
            };
            samples.push(Sample { first, total: begun.elapsed(), ok });
        }
        samples
    }

    /// One request; the time to the first bytes of its body.
    async fn one(&self, begun: Instant) -> Result<Duration> {
        let request = nova_upstream::Request {
            credential: Some(&self.credential),
            ..nova_upstream::Request::post(&self.endpoint, self.body.clone())
        };
        let mut response = self.client.send(request).await?;
        ensure!(response.status.is_success(), "status {}", response.status);
        let mut first = None;
        while let Some(frame) = response.body.frame().await {
            frame?;
            first.get_or_insert_with(|| begun.elapsed());
        }
        first.context("the answer was empty")
    }
}

fn print(global: &Global, samples: &[Sample], wall: Duration) -> Result<()> {
    let ok = samples.iter().filter(|sample| sample.ok).count();
    let failed = samples.len() - ok;
    let per_second = ok as f64 / wall.as_secs_f64();
    let first = percentiles(samples, |sample| sample.first);
    let total = percentiles(samples, |sample| sample.total);
    if global.json {
        let value = serde_json::json!({
            "ok": ok, "failed": failed, "requests_per_second": per_second,
            "first_byte_ms": { "p50": first[0], "p95": first[1], "p99": first[2] },
            "total_ms": { "p50": total[0], "p95": total[1], "p99": total[2] },
        });
        return super::say(&value.to_string());
    }
    super::say(&format!(
        "{ok} ok, {failed} failed, {per_second:.1} requests/s\n\
         \u{20}             p50       p95       p99\n\
         first byte {:>8.2}  {:>8.2}  {:>8.2}  ms\n\
         whole      {:>8.2}  {:>8.2}  {:>8.2}  ms",
        first[0], first[1], first[2], total[0], total[1], total[2]
    ))
}

/// The 50th, 95th and 99th percentile of the requests that went well, in milliseconds.
fn percentiles(samples: &[Sample], of: impl Fn(&Sample) -> Duration) -> [f64; 3] {
    let mut times: Vec<Duration> = samples.iter().filter(|sample| sample.ok).map(of).collect();
    times.sort_unstable();
    [50, 95, 99].map(|percent| {
        let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(rank).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    })
}

//! What comes out: a table for people, a JSON file for comparisons.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use super::stats::{median, percentile};

/// All rounds of one target.
#[derive(Debug, Default, Clone)]
pub(super) struct Figures {
    pub(super) name: String,
    pub(super) version: String,
    /// CPU microseconds a request, one value a round.
    pub(super) unary_cpu_us: Vec<f64>,
    pub(super) streamed_cpu_us: Vec<f64>,
    /// Requests a second in the same rounds.
    pub(super) unary_rate: Vec<f64>,
    pub(super) streamed_rate: Vec<f64>,
    /// Latency in microseconds from when requests were due, one value a round.
    pub(super) unary_p50_us: Vec<f64>,
    pub(super) unary_p99_us: Vec<f64>,
    /// To the first byte of a streamed answer.
    pub(super) first_p50_us: Vec<f64>,
    pub(super) first_p99_us: Vec<f64>,
    /// Resident memory at rest and per open stream.
    pub(super) idle_kb: Option<f64>,
    pub(super) kb_per_stream: Option<f64>,
    pub(super) held_streams: usize,
    /// Resident memory over time: seconds and KB.
    pub(super) growth: Vec<(f64, f64)>,
}

/// How it was measured.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    pub(super) in_flight: usize,
    pub(super) rate: f64,
    /// How late the generator itself was, 99th percentile in microseconds, one value for each open load.
    pub(super) lateness_p99_us: Vec<f64>,
}

/// The machine, in words.
pub(super) fn machine() -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "processor": model.unwrap_or("unknown"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": kernel.trim(),
        "load_before": load,
    })
}

pub(super) fn json(machine: &Value, setting: &Setting, all: &[Figures]) -> Value {
    let targets = all.iter().map(|figures| {
        json!({
            "name": figures.name,
            "version": figures.version,
            "unary_cpu_us": summary(&figures.unary_cpu_us),
            "streamed_cpu_us": summary(&figures.streamed_cpu_us),
            "unary_requests_per_second": summary(&figures.unary_rate),
            "streamed_requests_per_second": summary(&figures.streamed_rate),
            "unary_p50_us": summary(&figures.unary_p50_us),
            "unary_p99_us": summary(&figures.unary_p99_us),
            "first_byte_p50_us": summary(&figures.first_p50_us),
            "first_byte_p99_us": summary(&figures.first_p99_us),
            "idle_kb": figures.idle_kb,
            "held_streams": figures.held_streams,
            "kb_per_stream": figures.kb_per_stream,
            "growth_kb_per_minute": slope_per_minute(&figures.growth),
            "growth": figures.growth,
        })
    });
    json!({
        "machine": machine,
        "rounds": setting.rounds,
        "seconds": setting.seconds,
        "in_flight": setting.in_flight,
        "rate": setting.rate,
        "generator_lateness_p99_us": summary(&setting.lateness_p99_us),
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn summary(values: &[f64]) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    json!({ "median": median(values), "min": percentile(values, 0.0), "max": percentile(values, 1.0), "rounds": values })
}

/// The table, medians over the rounds; latency is what the target adds to the mock.
pub(super) fn table(machine: &Value, setting: &Setting, all: &[Figures]) -> String {
    let base = |pick: fn(&Figures) -> &Vec<f64>, name: &str| {
        all.iter().find(|figures| figures.name == name).map_or(f64::NAN, |figures| median(pick(figures)))
    };
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} cores of {}, load {} before; {} rounds of {} s, targets in turn; medians",
        machine["cores"],
        machine["processor"].as_str().unwrap_or("?"),
        machine["load_before"].as_str().unwrap_or("?"),
        setting.rounds,
        setting.seconds,
    );
    let _ =
        writeln!(text, "\nCPU per request, {} in flight (2 KB prompts, 16-token answers)", setting.in_flight);
    let _ = writeln!(
        text,
        "{:12} {:>10} {:>8} {:>10} {:>8} {:>9} {:>9}",
        "", "unary µs", "×nginx", "stream µs", "×nginx", "unary/s", "stream/s"
    );
    let unary_nginx = base(|figures| &figures.unary_cpu_us, "nginx");
    let streamed_nginx = base(|figures| &figures.streamed_cpu_us, "nginx");
    for figures in all.iter().filter(|figures| !figures.unary_rate.is_empty()) {
        let (unary, streamed) = (median(&figures.unary_cpu_us), median(&figures.streamed_cpu_us));
        let cells = [
            (unary, 10, 1),
            (unary / unary_nginx, 8, 2),
            (streamed, 10, 1),
            (streamed / streamed_nginx, 8, 2),
            (median(&figures.unary_rate), 9, 0),
            (median(&figures.streamed_rate), 9, 0),
        ];
        row(&mut text, &figures.name, &cells);
    }
    let _ = writeln!(text, "\nAdded latency at {} requests/s, µs, from when each was due", setting.rate);
    let _ = writeln!(
        text,
        "{:12} {:>10} {:>10} {:>13} {:>13}",
        "", "unary p50", "unary p99", "first byte p50", "first byte p99"
    );
    for figures in all.iter().filter(|figures| !figures.unary_p50_us.is_empty()) {
        let added = |pick: fn(&Figures) -> &Vec<f64>| {
            if figures.name == "direct" {
                median(pick(figures))
            } else {
                median(pick(figures)) - base(pick, "direct")
            }
        };
        let cells = [
            (added(|figures| &figures.unary_p50_us), 10, 0),
            (added(|figures| &figures.unary_p99_us), 10, 0),
            (added(|figures| &figures.first_p50_us), 14, 0),
            (added(|figures| &figures.first_p99_us), 14, 0),
        ];
        let name = if figures.name == "direct" { "direct (all)" } else { &figures.name };
        row(&mut text, name, &cells);
    }
    let _ = writeln!(
        text,
        "the generator itself was late by {:.0} µs (p99, median of the runs)",
        median(&setting.lateness_p99_us)
    );
    for figures in all.iter().filter(|figures| figures.kb_per_stream.is_some()) {
        let _ = writeln!(
            text,
            "\n{}: {:.1} KB for each of {} open streams, {:.1} MB at rest",
            figures.name,
            figures.kb_per_stream.unwrap_or(f64::NAN),
            figures.held_streams,
            figures.idle_kb.unwrap_or(f64::NAN) / 1024.0
        );
    }
    for figures in all.iter().filter(|figures| figures.growth.len() > 1) {
        let (from, to) = (figures.growth[0], figures.growth[figures.growth.len() - 1]);
        let _ = writeln!(
            text,
            "\n{}: {:.1} MB after {:.0} s of load, {:.1} MB after {:.0} s, {:+.0} KB a minute over the second half",
            figures.name,
            from.1 / 1024.0,
            from.0,
            to.1 / 1024.0,
            to.0,
            slope_per_minute(&figures.growth).unwrap_or(f64::NAN)
        );
    }
    text
}

fn row(text: &mut String, name: &str, cells: &[(f64, usize, usize)]) {
    let _ = write!(text, "{name:12}");
    for (value, width, decimals) in cells {
        let cell = if value.is_finite() { format!("{value:.decimals$}") } else { "-".to_owned() };
        let _ = write!(text, " {cell:>width$}");
    }
    text.push('\n');
}

/// Least squares over the second half, when caches and pools are full.
fn slope_per_minute(samples: &[(f64, f64)]) -> Option<f64> {
    let half = &samples[samples.len() / 2..];
    if half.len() < 2 {
        return None;
    }
    let count = half.len() as f64;
    let mean_at = half.iter().map(|(at, _)| at).sum::<f64>() / count;
    let mean_kb = half.iter().map(|(_, kb)| kb).sum::<f64>() / count;
    let together: f64 = half.iter().map(|(at, kb)| (at - mean_at) * (kb - mean_kb)).sum();
    let spread: f64 = half.iter().map(|(at, _)| (at - mean_at).powi(2)).sum();
    Some(together / spread * 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_the_slope_of_the_second_half() {
        let filling_then_flat: Vec<_> =
            (0..20).map(|at| (f64::from(at) * 30.0, f64::from(at.min(9)) * 100.0)).collect();
        assert!(slope_per_minute(&filling_then_flat).unwrap().abs() < 1e-9);
        let growing: Vec<_> = (0..20).map(|at| (f64::from(at) * 30.0, f64::from(at) * 100.0)).collect();
        assert!((slope_per_minute(&growing).unwrap() - 200.0).abs() < 1e-9);
        assert_eq!(slope_per_minute(&[(0.0, 1.0)]), None);
    }

    #[test]
    fn the_table_holds_medians_and_ratios() {
        let figures = |name: &str, cpu: f64, p50: f64| Figures {
            name: name.to_owned(),
            unary_cpu_us: vec![cpu, cpu * 9.0, cpu],
            streamed_cpu_us: vec![cpu * 2.0],
            unary_rate: vec![1000.0],
            streamed_rate: vec![500.0],
            unary_p50_us: vec![p50],
            unary_p99_us: vec![p50 * 2.0],
            first_p50_us: vec![p50],
            first_p99_us: vec![p50 * 2.0],
            ..Figures::default()
        };
        let all = [
            figures("direct", f64::NAN, 100.0),
            figures("nginx", 20.0, 150.0),
            figures("novastack", 30.0, 230.0),
        ];
        let setting =
            Setting { rounds: 3, seconds: 2.0, in_flight: 32, rate: 200.0, lateness_p99_us: vec![10.0] };
        let table = table(&json!({ "cores": 2 }), &setting, &all);
        let line = |name: &str, at: usize| {
            let line = table.lines().filter(|line| line.starts_with(name)).nth(at).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("novastack", 0), ["30.0", "1.50", "60.0", "1.50", "1000", "500"]);
        assert_eq!(line("novastack", 1), ["130", "260", "130", "260"]);
    }
}

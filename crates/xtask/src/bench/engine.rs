//! The local engine's own benchmark (`crates/nova-engine/examples/bench.rs`), on one thread.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// One line of its table: tokens of all sequences together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Speed {
    pub(super) sequences: u32,
    pub(super) prefill_per_cpu_second: f64,
    pub(super) decode_per_cpu_second: f64,
}

/// Runs it, or returns nothing and says why where the weights are not there.
pub(super) fn measure(release: &Path) -> Result<Vec<Speed>> {
    let model = data_directory()?.join("models").join(MODEL);
    if !model.exists() {
        println!("the engine is not measured: its weights are not there\nhint: run `scripts/setup run`");
        return Ok(Vec::new());
    }
    let printed = crate::shell::output(Command::new(release.join("examples/bench")).arg(&model).arg("1"))?;
    let speeds: Vec<Speed> = printed.lines().filter_map(read).collect();
    if speeds.is_empty() {
        bail!("the engine's benchmark printed no figures");
    }
    Ok(speeds)
}

pub(super) fn json(speeds: &[Speed]) -> Value {
    let one = |speed: &Speed| {
        json!({
            "sequences": speed.sequences,
            "prefill_per_cpu_second": speed.prefill_per_cpu_second,
            "decode_per_cpu_second": speed.decode_per_cpu_second,
        })
    };
    speeds.iter().map(one).collect()
}

/// `16  0.33  776  309  204`: the sequences first; reading, writing and writing by the clock last. The heading is no such line.
fn read(line: &str) -> Option<Speed> {
    let cells: Vec<&str> = line.split_whitespace().collect();
    let [sequences, .., prefill, decode, _clock] = cells.as_slice() else { return None };
    Some(Speed {
        sequences: sequences.parse().ok()?,
        prefill_per_cpu_second: prefill.parse().ok()?,
        decode_per_cpu_second: decode.parse().ok()?,
    })
}

/// Where scripts/setup puts the weights.
fn data_directory() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = from("NOVASTACK_DATA") {
        return Ok(folder);
    }
    let base = from("XDG_DATA_HOME").or_else(|| Some(from("HOME")?.join(".local/share")));
    Ok(base.context("`HOME` is not set")?.join("novastack"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_figures_are_read_and_the_heading_is_not() {
        assert_eq!(read("sequences  load s  prefill/cpu-s  decode/cpu-s  decode/s"), None);
        let expected = Speed { sequences: 16, prefill_per_cpu_second: 1800.0, decode_per_cpu_second: 260.0 };
        assert_eq!(read("       16    0.33           1800           260       255"), Some(expected));
    }
}

//! What a process and its children cost, from the kernel's own accounting (Linux's `/proc`).

use std::fs;

use anyhow::{Context, Result};

/// Kernel ticks are hundredths of a second on every Linux that we know.
const TICK_NS: u64 = 10_000_000;

/// A reading of a process with its children.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// User and system time in ticks: complete, but coarse.
    tick_ns: u64,
    /// Time of all living threads: exact, but without threads that have ended.
    thread_ns: u64,
    /// Resident memory.
    pub(super) resident_kb: u64,
}

impl Reading {
    pub(super) fn of(pid: u32) -> Result<Reading> {
        let mut sum = Reading::default();
        for pid in tree(pid)? {
            // A child may end between the listing and the reading.
            let one = read_one(pid).unwrap_or_default();
            sum.tick_ns += one.tick_ns;
            sum.thread_ns += one.thread_ns;
            sum.resident_kb += one.resident_kb;
        }
        Ok(sum)
    }

    /// CPU nanoseconds since an earlier reading. Each of the two counts can only miss something, so the larger holds.
    pub(super) fn cpu_ns_since(&self, earlier: &Reading) -> u64 {
        let ticks = self.tick_ns.saturating_sub(earlier.tick_ns);
        ticks.max(self.thread_ns.saturating_sub(earlier.thread_ns))
    }
}

fn read_one(pid: u32) -> Option<Reading> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut thread_ns = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        thread_ns += schedstat.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Some(Reading { tick_ns: cpu_ticks(&stat)? * TICK_NS, thread_ns, resident_kb: resident_kb(&status)? })
}

/// Fields 14 and 15; the command's name before them may hold anything, so they count from its closing bracket.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn resident_kb(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The process and everything that it has started.
fn tree(root: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("`/proc` is needed to measure")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_behind_any_command_name() {
        let rest = "S 1 1 1 0 -1 4194560 100 0 0 0 12 34 0 0 20 0 1 0 5 6 7";
        for name in ["nginx", "a b) (c", ")"] {
            assert_eq!(cpu_ticks(&format!("7 ({name}) {rest}")), Some(46));
        }
        assert_eq!(cpu_ticks("7 (nginx"), None);
        assert_eq!(resident_kb("Name:\tx\nVmRSS:\t   1234 kB\n"), Some(1234));
    }

    #[test]
    fn work_shows_in_a_reading_of_ourselves() {
        let before = Reading::of(std::process::id()).unwrap();
        let mut value = 1_u64;
        while Reading::of(std::process::id()).unwrap().cpu_ns_since(&before) == 0 {
            value = std::hint::black_box(value.wrapping_mul(3));
        }
        assert!(before.resident_kb > 0);
    }
}

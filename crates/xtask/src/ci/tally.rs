//! Counts of tests, read from the summary lines of nextest and pytest.

const OUTCOMES: [&str; 5] = ["passed", "failed", "skipped", "error", "errors"];

/// How many tests passed, failed and were skipped, and the runner's own line about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) summary: Option<String>,
}

impl Tally {
    pub(super) fn plus(&self, other: &Tally) -> Tally {
        Tally {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
            summary: None,
        }
    }

    /// `Summary [   0.5s] 4 tests run: 3 passed (1 slow), 1 failed, 2 skipped`
    pub(super) fn read_nextest(&mut self, line: &str) {
        let plain = without_colour(line);
        if let Some((_, summary)) = plain.split_once("Summary [")
            && let Some((_, counts)) = summary.split_once(" run: ")
        {
            self.set(counts, plain.trim());
        }
    }

    /// `3 passed, 1 failed, 2 skipped in 1.25s`, in a row of `=` when something failed.
    pub(super) fn read_pytest(&mut self, line: &str) {
        let plain = without_colour(line);
        let inner = plain.trim_matches(['=', ' ']);
        let mut words = inner.split_whitespace();
        let counted = words.next().is_some_and(|word| word.parse::<u64>().is_ok())
            && words.next().is_some_and(|word| OUTCOMES.contains(&word.trim_end_matches(',')));
        if counted && let Some((counts, _)) = inner.rsplit_once(" in ") {
            self.set(counts, inner);
        }
    }

    fn set(&mut self, counts: &str, summary: &str) {
        let mut read = Tally { summary: Some(summary.to_owned()), ..Tally::default() };
        for part in counts.split(',') {
            let mut words = part.split_whitespace();
            let Some(count) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
            match words.next() {
                Some("passed") => read.passed += count,
                Some("skipped") => read.skipped += count,
                Some("failed" | "timed" | "exec" | "error" | "errors") => read.failed += count,
                _ => {}
            }
        }
        *self = read;
    }
}

/// The line without terminal escapes (`ESC [ … m`).
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, escape)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = escape.split_once('m').map_or("", |(_, after)| after);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[track_caller]
    fn check(read: fn(&mut Tally, &str), line: &str, expected: Option<(u64, u64, u64)>) {
        let mut tally = Tally::default();
        read(&mut tally, line);
        let counted = tally.summary.is_some().then_some((tally.passed, tally.failed, tally.skipped));
        assert_eq!(counted, expected, "{line}");
    }

    #[test]
    fn summaries_of_nextest_are_counted() {
        let read = Tally::read_nextest;
        check(read, "     Summary [   0.010s] 3 tests run: 3 passed, 0 skipped", Some((3, 0, 0)));
        check(
            read,
            "     Summary [ 61.0s] 9 tests run: 5 passed (1 slow), 2 failed, 1 timed out, 1 exec failed, 2 skipped",
            Some((5, 4, 2)),
        );
        check(
            read,
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.010s] \u{1b}[1m3\u{1b}[0m tests run: \u{1b}[1m3\u{1b}[0m passed, 0 skipped",
            Some((3, 0, 0)),
        );
        check(read, "        PASS [   0.010s] xtask a", None);
        check(read, "     Summary [   0.010s] 1/3 tests run: 0 passed, 1 failed, 0 skipped", Some((0, 1, 0)));
    }

    #[test]
    fn summaries_of_pytest_are_counted() {
        let read = Tally::read_pytest;
        check(read, "12 passed in 3.25s", Some((12, 0, 0)));
        check(read, "===== 1 failed, 12 passed, 2 skipped, 1 error in 3.25s =====", Some((12, 2, 2)));
        check(read, "2 files in this folder", None);
        check(read, "no tests ran in 0.01s", None);
    }
}

//! Tokens to text, piece by piece, holding back what might not be said.
//!
//! Two things are held back: bytes that do not yet make a character, and text that may turn out to be the beginning of a
//! stop string. Neither ever leaks.

/// The text of one answer.
#[derive(Debug)]
pub(crate) struct TextStream {
    stops: Vec<String>,
    bytes: Vec<u8>,
    held: String,
    stopped: bool,
}

impl TextStream {
    /// Empty stop strings are ignored.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { stops, bytes: Vec::new(), held: String::new(), stopped: false }
    }

    /// Whether a stop string has been met; nothing comes out after it.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a token's bytes and returns the text that is certain now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        if self.stopped {
            return String::new();
        }
        self.bytes.extend_from_slice(bytes);
        self.decode(false);
        self.release(false)
    }

    /// Returns what was held back, when no more tokens come.
    pub(crate) fn finish(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        self.decode(true);
        self.release(true)
    }

    /// Moves whole characters from `bytes` to `held`; what can never become one turns into U+FFFD.
    fn decode(&mut self, last: bool) {
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok(text) => {
                    self.held.push_str(text);
                    self.bytes.clear();
                    return;
                }
                Err(error) => {
                    let good = error.valid_up_to();
                    let bad = match error.error_len() {
                        Some(bad) => bad,
                        None if last => self.bytes.len() - good,
                        None => 0,
                    };
                    self.held.push_str(&String::from_utf8_lossy(&self.bytes[..good]));
                    if bad > 0 {
                        self.held.push(char::REPLACEMENT_CHARACTER);
                    }
                    self.bytes.drain(..good + bad);
                    if bad == 0 {
                        return;
                    }
                }
            }
        }
    }

    fn release(&mut self, last: bool) -> String {
        let stop = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = stop {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let certain = if last { self.held.len() } else { self.held.len() - self.doubtful() };
        let later = self.held.split_off(certain);
        std::mem::replace(&mut self.held, later)
    }

    /// Bytes at the end of `held` that some stop string begins with.
    fn doubtful(&self) -> usize {
        let longest = |stop: &String| {
            let ends = (1..stop.len()).rev().filter(|len| stop.is_char_boundary(*len));
            ends.into_iter().find(|len| self.held.ends_with(&stop[..*len])).unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}

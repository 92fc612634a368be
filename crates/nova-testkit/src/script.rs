//! What an upstream does with one request, step by step.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

/// One thing that the upstream does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes exactly these bytes and flushes them.
    Write(Bytes),
    /// Waits until the test opens the gate.
    WaitFor(Gate),
    /// Does nothing more until the client goes away; that it went is recorded.
    Stall,
    /// Closes the connection with a reset (`SO_LINGER` 0), so that the client reads `ECONNRESET`.
    Reset,
    /// Closes the connection in order.
    Close,
}

/// What the upstream does after it has read one request.
///
/// A script that ends without closing keeps the connection for the next request.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Script {
    /// A script without a step: the request is read and never answered, the next one is.
    pub fn new() -> Self {
        Self::default()
    }

    /// An answer with a JSON body and its `content-length`.
    pub fn json(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        Self::body(status, "application/json", headers, body)
    }

    /// An answer with any body and its `content-length`.
    pub fn body(status: u16, content_type: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut all = vec![("content-type", content_type), ("content-length", length.as_str())];
        all.extend_from_slice(headers);
        let mut bytes = head(status, &all);
        bytes.extend_from_slice(body);
        Self::new().write(bytes)
    }

    /// A whole event stream, chunked, one chunk for each of `events` (which carry their own framing,
    /// as in `"data: {}\n\n"`).
    pub fn sse(events: &[&str]) -> Self {
        events.iter().fold(Self::sse_head(&[]), |script, event| script.chunk(event)).end_chunks()
    }

    /// The head of a chunked event stream. Go on with [`chunk`](Self::chunk), end with
    /// [`end_chunks`](Self::end_chunks).
    pub fn sse_head(headers: &[(&str, &str)]) -> Self {
        let mut all = vec![("content-type", "text/event-stream"), ("transfer-encoding", "chunked")];
        all.extend_from_slice(headers);
        Self::new().write(head(200, &all))
    }

    /// Writes these bytes as they are.
    pub fn write(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Write(Bytes::from(bytes.into())))
    }

    /// Writes one chunk of a chunked body.
    pub fn chunk(self, data: impl AsRef<[u8]>) -> Self {
        let data = data.as_ref();
        let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(b"\r\n");
        self.write(bytes)
    }

    /// Ends a chunked body.
    pub fn end_chunks(self) -> Self {
        self.write(*b"0\r\n\r\n")
    }

    /// Waits for the test to open `gate`.
    pub fn wait_for(self, gate: &Gate) -> Self {
        self.then(Step::WaitFor(gate.clone()))
    }

    /// Does nothing more until the client goes away.
    pub fn stall(self) -> Self {
        self.then(Step::Stall)
    }

    /// Resets the connection.
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Closes the connection.
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// Adds a step.
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same bytes, with a pause for `gate` after the first `at` of them.
    pub fn pause_at(self, at: usize, gate: &Gate) -> Self {
        let (before, after) = self.split(at);
        let mut steps = before;
        steps.push(Step::WaitFor(gate.clone()));
        steps.extend(after);
        Self { steps }
    }

    /// The first `at` bytes, and then the connection ends in order.
    pub fn cut_at(self, at: usize) -> Self {
        let (mut steps, _) = self.split(at);
        steps.push(Step::Close);
        Self { steps }
    }

    /// The same bytes, each flushed alone.
    pub fn byte_by_byte(self) -> Self {
        let steps = self.steps.into_iter().flat_map(|step| match step {
            Step::Write(bytes) => (0..bytes.len()).map(|at| Step::Write(bytes.slice(at..=at))).collect(),
            other => vec![other],
        });
        Self { steps: steps.collect() }
    }

    /// How many bytes the script writes.
    pub fn len(&self) -> usize {
        self.steps.iter().map(|step| if let Step::Write(bytes) = step { bytes.len() } else { 0 }).sum()
    }

    /// Whether the script writes nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn split(self, at: usize) -> (Vec<Step>, Vec<Step>) {
        let (mut before, mut after, mut left) = (Vec::new(), Vec::new(), at);
        for step in self.steps {
            match step {
                Step::Write(mut bytes) if after.is_empty() && bytes.len() > left => {
                    let first = bytes.split_to(left);
                    left = 0;
                    if !first.is_empty() {
                        before.push(Step::Write(first));
                    }
                    after.push(Step::Write(bytes));
                }
                Step::Write(bytes) if after.is_empty() => {
                    left -= bytes.len();
                    before.push(Step::Write(bytes));
                }
                other if after.is_empty() => before.push(other),
                other => after.push(other),
            }
        }
        (before, after)
    }
}

/// The bytes of an HTTP/1.1 response head with these headers and no other.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Where a script waits for the test. Opened once, it stays open.
#[derive(Clone, Debug)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
    reached: Arc<watch::Sender<usize>>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self { open: Arc::new(watch::Sender::new(false)), reached: Arc::new(watch::Sender::new(0)) }
    }

    /// Lets every script through that waits here now or later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// How many scripts have arrived here.
    pub fn arrivals(&self) -> usize {
        *self.reached.borrow()
    }

    /// Returns when `count` scripts have arrived here: all that they wrote before is on its way.
    pub async fn wait_for_arrivals(&self, count: usize) {
        crate::until(|| self.arrivals() >= count, "the script arrived at its gate").await;
    }

    /// Arrives and waits until the gate is open.
    pub(crate) async fn pass(&self) {
        self.reached.send_modify(|count| *count += 1);
        let mut open = self.open.subscribe();
        // The sender lives in `self`, so that this cannot fail.
        let _ = open.wait_for(|open| *open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

//! One HTTP/1.1 connection of the load generator: blocking, kept alive, and cheap.
//!
//! A thread of its own for each request in flight, and the operating system's timers, are more exact than an event loop
//! whose timers count milliseconds; and what the generator spends is kept away from what is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer than any answer that is not a failure.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Bytes that were read and not yet used.
    ahead: Vec<u8>,
    /// The body of the last answer, without its framing.
    pub(super) body: Vec<u8>,
}

/// What came back, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The first byte of the body.
    pub(super) first: Instant,
    /// The last byte of the body.
    pub(super) done: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

impl Connection {
    pub(super) fn open(to: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, ahead: Vec::with_capacity(8 << 10), body: Vec::with_capacity(8 << 10) })
    }

    /// Sends the request and reads the whole answer.
    pub(super) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request)?;
        let (status, framing) = self.head()?;
        match framing {
            Framing::Length(length) => {
                while self.ahead.len() < length.min(1) {
                    self.fill()?;
                }
                let first = Instant::now();
                while self.ahead.len() < length {
                    self.fill()?;
                }
                self.body.extend(self.ahead.drain(..length));
                Ok(Answer { status, first, done: Instant::now() })
            }
            Framing::Chunked => {
                let mut first = None;
                while self.chunk()? {
                    first.get_or_insert_with(Instant::now);
                }
                let done = Instant::now();
                Ok(Answer { status, first: first.unwrap_or(done), done })
            }
            Framing::UntilClosed => {
                let first = Instant::now();
                self.body.append(&mut self.ahead);
                self.stream.read_to_end(&mut self.body)?;
                Ok(Answer { status, first, done: Instant::now() })
            }
        }
    }

    /// Sends the request and returns at once.
    pub(super) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// After [`Self::send`]: returns at the first chunk of a streamed answer; the stream stays open.
    pub(super) fn first_chunk(&mut self) -> io::Result<u16> {
        let (status, framing) = self.head()?;
        if framing != Framing::Chunked || !self.chunk()? {
            return Err(bad("the answer is no open stream"));
        }
        Ok(status)
    }

    fn head(&mut self) -> io::Result<(u16, Framing)> {
        self.body.clear();
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let head =
                    read_head(&self.ahead[..end + 2]).ok_or_else(|| bad("the answer has no HTTP head"))?;
                self.ahead.drain(..end + 4);
                return Ok(head);
            }
            self.fill()?;
        }
    }

    /// Reads one chunk into the body; false at the last.
    fn chunk(&mut self) -> io::Result<bool> {
        let line = loop {
            match find(&self.ahead, b"\r\n") {
                Some(end) => break end,
                None => self.fill()?,
            }
        };
        let digits = self.ahead[..line].split(|byte| *byte == b';').next().unwrap_or_default();
        let size =
            std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let size = size.ok_or_else(|| bad("a chunk has no size"))?;
        let end = line + 2 + size;
        while self.ahead.len() < end + 2 {
            self.fill()?;
        }
        self.body.extend_from_slice(&self.ahead[line + 2..end]);
        self.ahead.drain(..end + 2);
        Ok(size > 0)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.ahead.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

/// A POST with this JSON body.
pub(super) fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n{body}", body.len());
    request.into_bytes()
}

/// Status and framing from the head's lines, each with its line end.
fn read_head(head: &[u8]) -> Option<(u16, Framing)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut framing = Framing::UntilClosed;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.trim().parse().ok()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Some((status, framing))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that answers one connection with these pieces, each flushed on its own, then closes.
    fn serve(pieces: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn answers_are_read_in_every_framing_and_split() {
        let cases: [(&[&str], u16, &str); 5] = [
            (&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], 200, "hello"),
            (&["HTTP/1.1 429 No\r\ncontent-", "length: 2\r\n\r", "\nh", "i"], 429, "hi"),
            (&["HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n"], 204, ""),
            (
                &[
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r",
                    "\ndat\r\n1",
                    "0;x=y\r\n0123456789abcdef\r\n",
                    "0\r\n\r\n",
                ],
                200,
                "dat0123456789abcdef",
            ),
            (&["HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the", " end"], 200, "to the end"),
        ];
        for (pieces, status, body) in cases {
            let to = serve(pieces);
            let mut connection = Connection::open(to).unwrap();
            let answer = connection.exchange(&post(to, "/", &[("a", "b")], "{}")).unwrap();
            assert_eq!(answer.status, status);
            assert_eq!(String::from_utf8_lossy(&connection.body), body);
            assert!(answer.first <= answer.done);
        }
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        for pieces in [
            &["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"][..],
            &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ndat\r\n"][..],
            &["HTTP/1.1 200"][..],
            &[][..],
        ] {
            let to = serve(pieces);
            assert!(Connection::open(to).unwrap().exchange(b"POST / HTTP/1.1\r\n\r\n").is_err());
        }
    }
}

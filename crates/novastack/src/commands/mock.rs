//! `novastack mock`: a provider that answers at once, for benchmarks and for trying configurations.
//!
//! It speaks Chat Completions and Messages, whole and streamed, in the bytes that OpenAI and Anthropic
//! write. The answer has as many tokens as asked for; pauses before the first and between the others
//! are options. It listens on loopback only and knows no keys.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

/// Options of `novastack mock`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Mock {
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:6690")]
    listen: SocketAddr,
    /// Tokens of each answer.
    #[arg(long, default_value_t = 16)]
    tokens: usize,
    /// Milliseconds before an answer begins.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Milliseconds between the tokens of a stream.
    #[arg(long, default_value_t = 0)]
    token_delay_ms: u64,
}

/// Serves until the process is interrupted.
pub(crate) fn run(options: Mock) -> Result<()> {
    ensure!(
        options.listen.ip().is_loopback(),
        "refusing to listen on `{}`\nhint: the mock answers anybody, so it stays on loopback",
        options.listen
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(Arc::new(Answers::new(&options)), options.listen))
}

async fn serve(answers: Arc<Answers>, listen: SocketAddr) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on `{listen}`\nhint: `--listen 127.0.0.1:0` takes a free port")
    })?;
    let mut stop_requests = super::home::StopRequests::new()?;
    super::say(&format!("mock provider at http://{}/v1", listener.local_addr()?))?;
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = stop_requests.next() => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let answers = Arc::clone(&answers);
        let service = service_fn(move |request| {
            let answers = Arc::clone(&answers);
            async move { Ok::<_, Infallible>(answers.answer(request).await) }
        });
        // A connection that breaks is its client's affair.
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

/// The answers, made once.
struct Answers {
    delay: Duration,
    between: Duration,
    chat: Bytes,
    chat_stream: Vec<Bytes>,
    messages: Bytes,
    messages_stream: Vec<Bytes>,
}

const WORD: &str = " token";
const CHAT_HEAD: &str = r#"{"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":"mock","choices":"#;

impl Answers {
    fn new(options: &Mock) -> Self {
        let n = options.tokens;
        let text = WORD.repeat(n);
        let chat = format!(
            r#"{{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"mock","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":500,"completion_tokens":{n},"total_tokens":{total}}},"system_fingerprint":"fp_mock"}}"#,
            total = 500 + n
        );
        let messages = format!(
            r#"{{"id":"msg_mock","type":"message","role":"assistant","model":"mock","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":500,"output_tokens":{n}}}}}"#
        );
        Self {
            delay: Duration::from_millis(options.delay_ms),
            between: Duration::from_millis(options.token_delay_ms),
            chat: chat.into(),
            chat_stream: chat_stream(n),
            messages: messages.into(),
            messages_stream: messages_stream(n),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let messages = match request.uri().path() {
            "/v1/chat/completions" => false,
            "/v1/messages" => true,
            _ => return status(StatusCode::NOT_FOUND),
        };
        let Ok(body) = request.into_body().collect().await else { return status(StatusCode::BAD_REQUEST) };
        let body = body.to_bytes();
        #[derive(serde::Deserialize)]
        struct Asked {
            #[serde(default)]
            stream: bool,
        }
        let Ok(asked) = serde_json::from_slice::<Asked>(&body) else {
            return status(StatusCode::BAD_REQUEST);
        };
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let (kind, reply) = match (asked.stream, messages) {
            (false, false) => ("application/json", Reply::whole(self.chat.clone())),
            (false, true) => ("application/json", Reply::whole(self.messages.clone())),
            (true, false) => ("text/event-stream", Reply::stream(&self.chat_stream, self.between)),
            (true, true) => ("text/event-stream", Reply::stream(&self.messages_stream, self.between)),
        };
        let mut response = Response::new(reply);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

fn chat_stream(tokens: usize) -> Vec<Bytes> {
    let event = |choices: &str, usage: &str| {
        Bytes::from(format!("data: {CHAT_HEAD}{choices},\"usage\":{usage}}}\n\n"))
    };
    let delta =
        |delta: &str, finish: &str| format!(r#"[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]"#);
    let mut events = vec![event(&delta(r#"{"role":"assistant","content":""}"#, "null"), "null")];
    for _ in 0..tokens {
        events.push(event(&delta(&format!(r#"{{"content":"{WORD}"}}"#), "null"), "null"));
    }
    events.push(event(&delta("{}", r#""stop""#), "null"));
    let usage =
        format!(r#"{{"prompt_tokens":500,"completion_tokens":{tokens},"total_tokens":{}}}"#, 500 + tokens);
    events.push(event("[]", &usage));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn messages_stream(tokens: usize) -> Vec<Bytes> {
    let event = |name: &str, rest: &str| {
        Bytes::from(format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n"))
    };
    let mut events = vec![
        event(
            "message_start",
            r#","message":{"id":"msg_mock","type":"message","role":"assistant","model":"mock","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":500,"output_tokens":1}}"#,
        ),
        event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#),
    ];
    for _ in 0..tokens {
        let rest = format!(r#","index":0,"delta":{{"type":"text_delta","text":"{WORD}"}}"#);
        events.push(event("content_block_delta", &rest));
    }
    events.push(event("content_block_stop", r#","index":0"#));
    let rest = format!(
        r#","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"output_tokens":{tokens}}}"#
    );
    events.push(event("message_delta", &rest));
    events.push(event("message_stop", ""));
    events
}

fn status(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A body: its pieces, last one first, and the pause between them.
struct Reply {
    pieces: Vec<Bytes>,
    between: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Reply {
    fn whole(bytes: Bytes) -> Self {
        Self { pieces: vec![bytes], between: Duration::ZERO, pause: None }
    }

    fn stream(events: &[Bytes], between: Duration) -> Self {
        Self { pieces: events.iter().rev().cloned().collect(), between, pause: None }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let piece = self.pieces.pop();
        if !self.between.is_zero() && !self.pieces.is_empty() {
            self.pause = Some(Box::pin(tokio::time::sleep_until(Instant::now() + self.between)));
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.pieces.as_slice() {
            [one] => http_body::SizeHint::with_exact(one.len() as u64),
            _ => http_body::SizeHint::default(),
        }
    }
}

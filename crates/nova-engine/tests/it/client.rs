//! A server over a random model, and the smallest HTTP client that can look at it byte by byte.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use nova_engine::{AccessToken, Engine, EngineOptions, random_model, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running engine behind its server. The model's file goes when this does.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) address: SocketAddr,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
    model: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.engine.shutdown();
        // Absent where the test wanted it absent.
        let _ = std::fs::remove_file(&self.model);
    }
}

impl Server {
    /// Starts an engine over a random model and waits until it is loaded.
    pub(crate) async fn start() -> Self {
        let server = Self::start_with(None, |path| random_model(1, path).unwrap()).await;
        server.engine.ready().await.unwrap();
        server
    }

    /// Starts an engine over whatever `prepare` writes.
    pub(crate) async fn start_with(token: Option<&str>, prepare: impl FnOnce(&Path)) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("nova-engine-it-{}-{}.gguf", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let model = std::env::temp_dir().join(name);
        prepare(&model);
        let engine = Engine::start(EngineOptions { threads: Some(1), ..EngineOptions::new(&model) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(engine.clone(), listener, token.map(AccessToken::new)));
        Self { engine, address, task, model }
    }

    /// Sends a request and returns the connection, with nothing read from it.
    pub(crate) async fn open(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let len = body.len();
        let request =
            format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends a request and returns status and body.
    pub(crate) async fn ask(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = self.open(head, body).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        (status, if chunked { unchunk(body) } else { body.to_owned() })
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1"), "").await
    }

    /// Asks for a completion; `body` is the request without its model.
    pub(crate) async fn chat(&self, mut body: Value) -> (u16, String) {
        if body.get("model").is_none() {
            body["model"] = "nova-local-mini".into();
        }
        self.ask("POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json", &body.to_string())
            .await
    }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((len, tail)) = rest.split_once("\r\n") {
        let len = usize::from_str_radix(len, 16).unwrap();
        body += &tail[..len];
        rest = &tail[len + 2..];
        if len == 0 {
            break;
        }
    }
    body
}

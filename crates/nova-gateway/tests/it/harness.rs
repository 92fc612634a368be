//! A gateway for one test: its own data directory, free ports, and an end that must be clean.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use nova_gateway::config::{Config, Env};
use nova_gateway::state::Shared;
use nova_gateway::{Gateway, GatewayOptions, boot};
use nova_ledger::NewKey;
use nova_testkit::{Gate, Script, Step, bounded};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) struct TestGateway {
    gateway: Option<Gateway>,
    shared: Arc<Shared>,
    background: Option<tokio::runtime::Runtime>,
    directory: PathBuf,
    pub(crate) key: String,
    admin_key: String,
    /// How long requests under way may take at the end.
    pub(crate) grace: Duration,
}

/// A reply, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    body: String,
}

/// A reply whose body is still being read.
pub(crate) struct Stream {
    pub(crate) status: u16,
    headers: http::HeaderMap,
    body: Incoming,
    read: String,
    connection: JoinHandle<()>,
}

/// One provider with one model, `test-model`, at a scripted upstream.
pub(crate) fn provider(url: &str, dialect: &str) -> String {
    let base = if dialect == "messages" { url.to_owned() } else { format!("{url}/v1") };
    format!(
        "providers:
  scripted:
    endpoints:
      - {{ dialect: {dialect}, base_url: \"{base}\" }}
models:
  test-model:
    context: 8192
    max_output: 1024
    capabilities: [images, tools]
    offers:
      - {{ provider: scripted, model: upstream-model, price: {{ input: 1, output: 10 }} }}
credentials:
  scripted:
    - {{ name: main, key: \"${{SCRIPTED_KEY}}\" }}
"
    )
}

/// Two providers of `test-model`, asked in this order.
pub(crate) fn two_providers(first: &str, second: &str) -> String {
    format!(
        "providers:
  scripted:
    endpoints:
      - {{ dialect: chat, base_url: \"{first}/v1\" }}
  second:
    endpoints:
      - {{ dialect: chat, base_url: \"{second}/v1\" }}
models:
  test-model:
    context: 8192
    offers:
      - {{ provider: scripted, model: upstream-model }}
      - {{ provider: second, model: upstream-model }}
credentials:
  scripted:
    - {{ name: main, key: \"${{SCRIPTED_KEY}}\" }}
  second:
    - {{ name: main, key: \"${{SCRIPTED_KEY}}\" }}
"
    )
}

/// A file for as long as a test needs it.
pub(crate) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("nova-gateway-{}-{count}.bin", std::process::id()));
        std::fs::write(&file, bytes).unwrap();
        Self(file)
    }

    pub(crate) fn path(&self) -> std::path::Display<'_> {
        self.0.display()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The same script, played once the gate is open.
pub(crate) fn after(gate: &Gate, mut script: Script) -> Script {
    script.steps.insert(0, Step::WaitFor(gate.clone()));
    script
}

pub(crate) fn hello() -> String {
    json!({ "model": "test-model", "max_tokens": 100, "messages": [{ "role": "user", "content": "Hello" }] })
        .to_string()
}

pub(crate) fn hello_stream() -> String {
    hello().replace("\"max_tokens\"", "\"stream\":true,\"max_tokens\"")
}

pub(crate) fn chat_reply(text: &str) -> String {
    json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "upstream-model",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9 },
    })
    .to_string()
}

pub(crate) fn messages_reply(text: &str) -> String {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model",
        "content": [{ "type": "text", "text": text }], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 7, "output_tokens": 2 },
    })
    .to_string()
}

fn config(yaml: &str) -> Result<Config, String> {
    let env = Env::of([("SCRIPTED_KEY", "provider-secret")]).with_bytes(|path| std::fs::read(path));
    Config::parse("test.yaml", yaml, &env).map_err(|errors| errors.to_string())
}

impl TestGateway {
    pub(crate) async fn start(yaml: &str) -> Self {
        Self::start_on(yaml, None).await
    }

    /// Another instance on the same store, with the same keys.
    pub(crate) async fn start_beside(&self, yaml: &str) -> Self {
        let keys = (self.key.clone(), self.admin_key.clone());
        Self::start_on(yaml, Some((self.directory.clone(), keys))).await
    }

    async fn start_on(yaml: &str, beside: Option<(PathBuf, (String, String))>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("nova-gateway-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let config = config(yaml).unwrap_or_else(|errors| panic!("{errors}"));
        let background =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = directory.clone();
        let booting = background.spawn(async move {
            let Some((store, (key, admin_key))) = beside else {
                let ledger = boot::open_ledger(&config, &folder).await.unwrap();
                let user = ledger.create_key(&NewKey::user("test"), now_ms()).await.unwrap();
                let admin = ledger.create_key(&NewKey::admin("admin"), now_ms()).await.unwrap();
                let shared = boot::shared(&config, ledger, &folder).await.unwrap();
                return (shared, user.secret.expose().to_owned(), admin.secret.expose().to_owned());
            };
            let ledger = boot::open_ledger(&config, &store).await.unwrap();
            (boot::shared(&config, ledger, &folder).await.unwrap(), key, admin_key)
        });
        let (shared, key, admin_key) = booting.await.unwrap();
        let options = GatewayOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            allow_remote: false,
            workers: std::num::NonZeroUsize::new(1),
            client: nova_upstream::ClientOptions::default(),
            tls: nova_upstream::Tls::new(&nova_upstream::TlsOptions::default()).unwrap(),
        };
        let gateway = Gateway::start(Arc::clone(&shared), &options).unwrap();
        Self {
            gateway: Some(gateway),
            shared,
            background: Some(background),
            directory,
            key,
            admin_key,
            grace: Duration::ZERO,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<String>) -> Reply {
        self.send("POST", path, body.into(), &[("x-api-key", &self.key)]).await
    }

    pub(crate) async fn post_with(&self, path: &str, body: String, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![("x-api-key", self.key.as_str())];
        all.extend(headers);
        self.send("POST", path, body, &all).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, String::new(), &[("x-api-key", &self.key)]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![("x-api-key", self.key.as_str())];
        all.extend(headers);
        self.send("GET", path, String::new(), &all).await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("x-api-key", self.admin_key.as_str()), ("content-type", "application/json")];
        self.send(method, path, body, &headers).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let request = request(method, path, body, headers);
        let address = self.address();
        bounded(async move { open(address, request).await.whole().await }, "a reply").await
    }

    /// The same in a task of its own, which can be aborted: the client then leaves.
    pub(crate) fn spawn(
        &self,
        method: &str,
        path: &str,
        body: String,
        headers: &[(&str, &str)],
    ) -> JoinHandle<Reply> {
        let request = request(method, path, body, headers);
        let address = self.address();
        tokio::spawn(async move { open(address, request).await.whole().await })
    }

    pub(crate) async fn open_stream(&self, path: &str, body: String) -> Stream {
        let request = request("POST", path, body, &[("x-api-key", &self.key)]);
        bounded(open(self.address(), request), "the head of a stream").await
    }

    /// The usage record of a request, once it is written.
    pub(crate) async fn record(&self, id: &str) -> Value {
        let (shared, id) = (Arc::clone(&self.shared), id.to_owned());
        let looking = async move {
            loop {
                shared.usage.flush().await;
                if let Some(record) = shared.ledger.usage_by_request_id(&id).await.unwrap() {
                    return serde_json::to_value(record).unwrap();
                }
                tokio::task::yield_now().await;
            }
        };
        let looking = self.background.as_ref().unwrap().spawn(looking);
        bounded(looking, "the usage record").await.unwrap()
    }

    /// Whether deciding again from a record gives the same.
    pub(crate) fn replays(&self, record: &nova_route::record::Record) -> bool {
        record.holds(&self.shared.snapshot.load().table)
    }

    /// What was learnt of models' quality.
    pub(crate) fn quality(&self) -> Value {
        self.shared.snapshot.load().quality()
    }

    /// Saves what the router has learnt, as it does itself once it has taken over what was there.
    pub(crate) async fn save_quality(&self, data: &str) {
        let (shared, data) = (Arc::clone(&self.shared), data.to_owned());
        let saving = async move {
            shared.lessons.follow(&shared.ledger).await.unwrap();
            shared.ledger.save_quality(&data, "test", 1).await.unwrap();
        };
        self.background.as_ref().unwrap().spawn(saving).await.unwrap();
    }

    /// Counts anew what keys have spent, as every instance does every few seconds.
    pub(crate) async fn recount_budgets(&self) {
        let shared = Arc::clone(&self.shared);
        let counting = async move { nova_gateway::budgets::recount(&shared).await.unwrap() };
        self.background.as_ref().unwrap().spawn(counting).await.unwrap();
    }

    /// Learns what was told to other instances, as every instance does every few seconds.
    pub(crate) async fn hear_others(&self) {
        let shared = Arc::clone(&self.shared);
        let hearing = async move {
            shared.lessons.follow(&shared.ledger).await.unwrap();
            nova_gateway::lessons::hearsay::follow(&shared).await.unwrap();
            nova_gateway::learnt::take_lessons(&shared);
        };
        self.background.as_ref().unwrap().spawn(hearing).await.unwrap();
    }

    pub(crate) fn cost_nanos(&self, record: &Value) -> i64 {
        serde_json::from_value::<nova_catalog::NanoUsd>(record["cost"].clone()).unwrap().nanos()
    }

    pub(crate) fn reload(&self, yaml: &str) -> Result<(), String> {
        boot::reload(&self.shared, config(yaml))
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.gateway.as_ref().unwrap().address()
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        let gateway = self.gateway.take().unwrap();
        let (shared, background) = (Arc::clone(&self.shared), self.background.take().unwrap());
        let grace = self.grace;
        // Stopping blocks, which a thread of the test's runtime must not.
        let ended = std::thread::spawn(move || {
            gateway.stop(grace);
            background.block_on(boot::close(&shared));
            background.shutdown_timeout(Duration::from_secs(5));
            shared.metrics.open_receipts.load(Ordering::Relaxed)
        });
        let open = ended.join().unwrap();
        let _ = std::fs::remove_dir_all(&self.directory);
        if !std::thread::panicking() {
            assert_eq!(open, 0, "receipts were never settled");
        }
    }
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        self.body.clone()
    }

    pub(crate) fn text_ref(&self) -> &str {
        &self.body
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Stream {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Reads until this text has come, and forgets all up to its end.
    pub(crate) async fn read_until(&mut self, text: &str) {
        loop {
            if let Some(at) = self.read.find(text) {
                self.read.drain(..at + text.len());
                return;
            }
            let frame = bounded(self.body.frame(), text)
                .await
                .unwrap_or_else(|| panic!("no {text:?}: {}", self.read))
                .unwrap();
            self.read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    pub(crate) async fn read_to_end(mut self) -> String {
        while let Some(frame) = bounded(self.body.frame(), "the end of a stream").await {
            self.read.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
        std::mem::take(&mut self.read)
    }

    async fn whole(mut self) -> Reply {
        let mut bytes = Vec::new();
        while let Some(frame) = self.body.frame().await {
            bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
        Reply { status: self.status, headers: self.headers.clone(), body: String::from_utf8(bytes).unwrap() }
    }
}

impl Drop for Stream {
    /// Leaving means closing the connection.
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn request(
    method: &str,
    path: &str,
    body: impl Into<Bytes>,
    headers: &[(&str, &str)],
) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::builder().method(method).uri(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

async fn open(address: std::net::SocketAddr, request: http::Request<Full<Bytes>>) -> Stream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = Abort(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    Stream {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        read: String::new(),
        connection: connection.keep(),
    }
}

/// Closes the connection of a request that is given up before its head came.
struct Abort(JoinHandle<()>);

impl Abort {
    fn keep(mut self) -> JoinHandle<()> {
        std::mem::replace(&mut self.0, tokio::spawn(async {}))
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

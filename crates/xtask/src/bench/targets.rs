//! What is measured: the mock upstream itself, and the proxies in front of it, each started fresh on a port of its own.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::http::{Connection, post};
use super::load::Ask;

/// The name under which every proxy knows the mock's model.
const MODEL: &str = "bench-model";

/// A server that answers, and how to ask it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) version: String,
    to: SocketAddr,
    key: String,
    server: Server,
}

/// Where programs and their files are.
#[derive(Debug)]
pub(super) struct Places {
    /// The release build of the product.
    pub(super) novastack: PathBuf,
    /// The environment that holds LiteLLM.
    pub(super) venv: PathBuf,
    /// A folder for configurations, databases and logs.
    pub(super) work: PathBuf,
}

impl Target {
    pub(super) fn pid(&self) -> u32 {
        self.server.child.id()
    }

    /// A chat request of about 2 KB.
    pub(super) fn ask(&self, stream: bool) -> Ask {
        let prompt = "Compare the two plans and say which of them you would choose, and why. ".repeat(26);
        let body = serde_json::json!({
            "model": MODEL,
            "messages": [
                { "role": "system", "content": "You are brief." },
                { "role": "user", "content": prompt },
            ],
            "stream": stream,
        });
        let authorization = format!("Bearer {}", self.key);
        let request =
            post(self.to, "/v1/chat/completions", &[("authorization", &authorization)], &body.to_string());
        Ask { to: self.to, request, ending: if stream { "data: [DONE]" } else { "completion_tokens" } }
    }

    /// Waits until the target answers the way it will be asked.
    fn ready(self) -> Result<Target> {
        let patience = Instant::now() + Duration::from_secs(90);
        let ask = self.ask(false);
        loop {
            let answer = Connection::open(self.to).map_err(Into::into).and_then(|mut to| ask.once(&mut to));
            match answer {
                Ok(_) => return Ok(self),
                Err(error) if Instant::now() > patience => {
                    return Err(error).with_context(|| {
                        format!(
                            "`{}` does not answer\nhint: its log is {}",
                            self.name,
                            self.server.log.display()
                        )
                    });
                }
                Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
            }
        }
    }

    /// The upstream, asked directly. `token_delay` lies between the tokens of its streams.
    pub(super) fn mock(places: &Places, name: &'static str, token_delay: Duration) -> Result<Target> {
        let to = free_port()?;
        let mut command = Command::new(&places.novastack);
        command.args(["mock", "--tokens", "16", "--delay-ms", "0"]);
        command.args(["--token-delay-ms", &token_delay.as_millis().to_string(), "--listen", &to.to_string()]);
        let server = Server::start(name, command, &places.work)?;
        Target { name, version: product_version(places)?, to, key: "none".to_owned(), server }.ready()
    }

    pub(super) fn nginx(places: &Places, upstream: &Target) -> Result<Target> {
        let to = free_port()?;
        let folder = fresh(&places.work, "nginx")?;
        let template = include_str!("../../../../bench/nginx.conf");
        let config = fill(
            template,
            &[
                ("FOLDER", &folder.display().to_string()),
                ("LISTEN", &to.to_string()),
                ("UPSTREAM", &upstream.to.to_string()),
            ],
        );
        let path = folder.join("nginx.conf");
        fs::write(&path, config)?;
        let program =
            ["/usr/sbin/nginx", "nginx"].into_iter().find(|program| crate::shell::have(program, "-v"));
        let program = program.context("`nginx` is not installed\nhint: run `scripts/setup bench`")?;
        let mut command = Command::new(program);
        command.arg("-p").arg(&folder).arg("-c").arg(&path);
        let version = Command::new(program).arg("-v").output()?;
        let version = String::from_utf8_lossy(&version.stderr).trim().replace("nginx version: ", "");
        let server = Server::start("nginx", command, &places.work)?;
        Target { name: "nginx", version, to, key: "none".to_owned(), server }.ready()
    }

    /// Everything on that is on for users: authentication, routing, limits, usage records in SQLite.
    pub(super) fn novastack(places: &Places, upstream: &Target) -> Result<Target> {
        let to = free_port()?;
        let folder = fresh(&places.work, "novastack")?;
        let template = include_str!("../../../../bench/novastack.yaml");
        let path = folder.join("novastack.yaml");
        fs::write(
            &path,
            fill(template, &[("LISTEN", &to.to_string()), ("UPSTREAM", &upstream.to.to_string())]),
        )?;
        let product = |arguments: &[&str]| {
            let mut command = Command::new(&places.novastack);
            command.args(arguments).arg("--config").arg(&path).env("NOVASTACK_DATA", &folder);
            command
        };
        let created = crate::shell::output(&mut product(&["keys", "create", "bench", "--json"]))?;
        let created: serde_json::Value =
            serde_json::from_str(&created).context("`keys create --json` printed no JSON")?;
        let key = created["key"].as_str().context("`keys create --json` shows the key once")?.to_owned();
        let server = Server::start("novastack", product(&["serve"]), &places.work)?;
        Target { name: "novastack", version: product_version(places)?, to, key, server }.ready()
    }

    pub(super) fn litellm(places: &Places, upstream: &Target) -> Result<Target> {
        let program = places.venv.join("bin/litellm");
        if !program.exists() {
            bail!(
                "LiteLLM is not installed\nhint: run `scripts/setup bench`, or leave it out with `--targets`"
            );
        }
        let to = free_port()?;
        let folder = fresh(&places.work, "litellm")?;
        let template = include_str!("../../../../bench/litellm.yaml");
        let path = folder.join("litellm.yaml");
        fs::write(&path, fill(template, &[("UPSTREAM", &upstream.to.to_string())]))?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(&path).args(["--host", "127.0.0.1", "--port", &to.port().to_string()]);
        command.args(["--num_workers", "1", "--telemetry", "False"]);
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR").current_dir(&folder);
        let mut version = Command::new(places.venv.join("bin/python"));
        version.args(["-c", "import importlib.metadata as m; print('litellm/' + m.version('litellm'))"]);
        let version = crate::shell::output(&mut version)?.trim().to_owned();
        let server = Server::start("litellm", command, &places.work)?;
        Target { name: "litellm", version, to, key: "sk-bench".to_owned(), server }.ready()
    }
}

/// A program that runs until this is dropped.
#[derive(Debug)]
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    fn start(name: &str, mut command: Command, work: &Path) -> Result<Server> {
        let log = work.join(format!("{name}.log"));
        let file = fs::File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("`{name}` could not be started"))?;
        Ok(Server { child, log })
    }
}

impl Drop for Server {
    /// Asks first, so that files are closed and workers ended, then insists.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn product_version(places: &Places) -> Result<String> {
    let mut child = Command::new(&places.novastack).arg("--version").stdout(Stdio::piped()).spawn()?;
    let mut version = String::new();
    child.stdout.take().context("standard output is piped")?.read_to_string(&mut version)?;
    child.wait()?;
    Ok(version.trim().replace(' ', "/"))
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn fresh(work: &Path, name: &str) -> Result<PathBuf> {
    let folder = work.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Puts values into the template's `@NAME@` places.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}

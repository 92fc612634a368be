//! A private PostgreSQL for tests: a cluster of its own in a temporary folder, reachable through a socket in
//! that folder only.
//!
//! A shell holds the server as its child and reads orders from a pipe. When the pipe closes, because the test
//! is done or because its process was killed in whatever way, the shell stops the server, waits for it and
//! removes the folder: nothing is left behind.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// `$1` the programs' folder, `$2` the cluster's folder, `$3` the user to run as (empty: whoever we are).
///
/// `fsync=off` because a test's database need not survive a power cut; commits are still written at once, so
/// that they survive the server's own end.
const KEEPER: &str = r#"
bin=$1 dir=$2 user=$3
trap '' INT TERM HUP
if [ -n "$user" ]; then
  chown "$user" "$dir"
  as() { setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"; }
  exec_as() { exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"; }
else
  as() { "$@"; }
  exec_as() { exec "$@"; }
fi
everyone() { echo "$pid" $(cat "/proc/$pid/task/$pid/children"); }
start() {
  (exec_as "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c shared_buffers=16MB -c max_connections=60 >>"$dir/log" 2>&1 </dev/null) &
  pid=$!
  until "$bin/pg_isready" -q -h "$dir" -t 1; do
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.02
  done
}
stop() {
  [ -n "$pid" ] || return 0
  kill -CONT $(everyone) 2>/dev/null
  kill -QUIT "$pid" 2>/dev/null
  wait "$pid"
  pid=
}
pid=
cd "$dir"
if as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions >"$dir/log" 2>&1 && start; then
  echo ok
else
  echo "PostgreSQL did not start: $(tail -n 5 "$dir/log" | tr '\n' ' ')"
fi
while read -r order; do
  case $order in
    start) start ;;
    stop) stop ;;
    # The parent first, which then makes no new children; one that ends meanwhile is no failure.
    freeze) kill -STOP "$(head -n 1 "$dir/data/postmaster.pid")" && { kill -STOP $(everyone) 2>/dev/null || true; } ;;
    thaw) { kill -CONT $(everyone) 2>/dev/null || true; } ;;
    create\ *) "$bin/createdb" -h "$dir" -U postgres "${order#create }" >>"$dir/log" 2>&1 ;;
  esac && echo ok || echo "\`$order\` failed: $(tail -n 5 "$dir/log" | tr '\n' ' ')"
done
stop
cd /
rm -rf "$dir"
"#;

/// A running cluster. Dropping it stops the server and removes its files.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    keeper: Mutex<Keeper>,
    databases: AtomicU32,
}

#[derive(Debug)]
struct Keeper {
    child: Child,
    /// Closed first when it is dropped.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Postgres {
    /// Starts a cluster, which takes a second or two. Where PostgreSQL is not installed it says so and
    /// returns `None`, except in CI.
    ///
    /// # Panics
    /// When PostgreSQL is installed and does not start, or is not installed and `CI` is set.
    #[expect(clippy::print_stderr, reason = "a test that did not run must be visible as such")]
    pub fn start_or_skip() -> Option<Self> {
        match find_programs() {
            Some(programs) => Some(Self::start_in(&programs)),
            None if env::var_os("CI").is_some() => {
                panic!("PostgreSQL is not installed\nhint: `scripts/setup` installs it")
            }
            None => {
                eprintln!("skipped: PostgreSQL is not installed (`scripts/setup` installs it)");
                None
            }
        }
    }

    fn start_in(programs: &Path) -> Self {
        static CLUSTERS: AtomicU32 = AtomicU32::new(0);
        // Short, because a socket's path has 107 characters at most.
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("nova-pg-{}-{number}", std::process::id()));
        fs::create_dir(&folder).expect("the temporary folder can be written to");
        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(programs)
            .arg(&folder)
            .arg(server_user())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A signal to the tests' process group must not reach the keeper before it has cleaned up.
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut keeper = Keeper { child, orders, answers };
        keeper.expect_ok();
        Self { folder, keeper: Mutex::new(keeper), databases: AtomicU32::new(0) }
    }

    /// Makes an empty database and returns its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.order(&format!("create {name}"));
        format!("postgres:///{name}?host={}&user=postgres", self.folder.display())
    }

    /// Stops the server at once, as a crash would. Connections break, new ones are refused.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Starts the server again after [`Self::stop`], on the same socket, with the same databases.
    pub fn start(&self) {
        self.order("start");
    }

    /// Stops every process of the server in its tracks: connections stay open and nothing answers any more.
    pub fn freeze(&self) {
        self.order("freeze");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.order("thaw");
    }

    fn order(&self, order: &str) {
        let mut keeper = self.keeper.lock().expect("no order panicked");
        let pipe = keeper.orders.as_mut().expect("it is open until the drop");
        writeln!(pipe, "{order}").expect("the keeper runs");
        keeper.expect_ok();
    }
}

impl Keeper {
    fn expect_ok(&mut self) {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the keeper answers");
        assert_eq!(answer.trim_end(), "ok");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        // It ends by itself now; a test that is over has no use for an error.
        let _ = self.child.wait();
    }
}

/// The folder with `initdb` and `postgres`: Debian keeps them out of the PATH, one folder for each version.
/// The newest version wins.
fn find_programs() -> Option<PathBuf> {
    let on_path =
        env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    let mut installed: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            (entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0), entry.path().join("bin"))
        })
        .collect();
    installed.sort_unstable_by(|one, other| other.cmp(one));
    on_path.chain(installed.into_iter().map(|(_, folder)| folder)).find(|folder| {
        ["initdb", "postgres", "createdb", "pg_isready"].iter().all(|program| folder.join(program).is_file())
    })
}

/// PostgreSQL refuses to run as root. Who else runs the tests runs the server too.
fn server_user() -> &'static str {
    let output =
        |user: &[&str]| Command::new("id").args(user).output().ok().filter(|output| output.status.success());
    let is_root = output(&["-u"]).is_some_and(|output| output.stdout.trim_ascii() == b"0");
    match (is_root, output(&["-u", "postgres"])) {
        (false, _) => "",
        (true, Some(_)) => "postgres",
        (true, None) => "nobody",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(postgres: &Postgres, url: &str) -> bool {
        let programs = find_programs().unwrap();
        let name = url.strip_prefix("postgres:///").and_then(|rest| rest.split('?').next()).unwrap();
        Command::new(programs.join("pg_isready"))
            .args(["-q", "-t", "1", "-d", name, "-h"])
            .arg(&postgres.folder)
            .status()
            .unwrap()
            .success()
    }

    #[test]
    fn a_cluster_starts_stops_and_leaves_nothing_behind() {
        let Some(postgres) = Postgres::start_or_skip() else { return };
        let (one, other) = (postgres.database(), postgres.database());
        assert_ne!(one, other);
        assert!(answers(&postgres, &one));
        postgres.stop();
        assert!(!answers(&postgres, &one));
        postgres.start();
        assert!(answers(&postgres, &one));
        postgres.freeze();
        assert!(!answers(&postgres, &one));
        let (folder, log) = (postgres.folder.clone(), postgres.folder.join("data/postmaster.pid"));
        let server = fs::read_to_string(log).unwrap().lines().next().unwrap().to_owned();
        drop(postgres);
        assert!(!folder.exists());
        assert!(!Path::new("/proc").join(server).exists());
    }
}

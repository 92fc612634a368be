//! Starting programs: in the workspace's root, with their output passed on as it comes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result, bail};

/// The workspace's root, two folders above this crate.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.ancestors().nth(2).context("crates/xtask lies two folders below the root")?.to_path_buf())
}

/// The cargo that started this program, so that a toolchain chosen by the caller stays chosen.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program to its end, its output on ours; an unsuccessful end is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("`{shown}` could not be started"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs a program and returns its standard output; its standard error goes to ours.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let done = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("`{shown}` could not be started"))?;
    if !done.status.success() {
        bail!("`{shown}` ended with {}", done.status);
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Runs a program, passes every line of its two outputs on, and shows each to `see` as well.
///
/// Returns whether the program ended successfully.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool> {
    let shown = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{shown}` could not be started"))?;
    let (send, lines) = mpsc::channel();
    let out = child.stdout.take().context("standard output is piped")?;
    let err = child.stderr.take().context("standard error is piped")?;
    let readers = [
        std::thread::spawn({
            let send = send.clone();
            move || forward(out, std::io::stdout(), &send)
        }),
        std::thread::spawn(move || forward(err, std::io::stderr(), &send)),
    ];
    for line in lines {
        see(&line);
    }
    for reader in readers {
        reader.join().ok().context("a reader of the program's output ended early")?;
    }
    Ok(child.wait()?.success())
}

fn forward(from: impl Read, mut to: impl Write, lines: &mpsc::Sender<String>) {
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        // A closed terminal is no reason to stop counting.
        let _ = writeln!(to, "{line}");
        let _ = lines.send(line);
    }
}

/// Whether a program can be started by this name.
pub(crate) fn have(program: impl AsRef<OsStr>, version_flag: &str) -> bool {
    Command::new(program)
        .arg(version_flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let args = command.get_args().map(|arg| arg.to_string_lossy());
    std::iter::once(program).chain(args).collect::<Vec<_>>().join(" ")
}

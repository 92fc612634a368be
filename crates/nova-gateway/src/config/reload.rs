//! When a changed file takes over.
//!
//! The file is read every two seconds and compared as a whole: that sees through a swapped symbolic link
//! (as Kubernetes swaps them), an unchanged modification time and a clock that jumps, and costs less than
//! a request. What is there must be the same twice in a row, because an editor may be in the middle of
//! writing it, and half a file can be a valid configuration. A SIGHUP loads at once, also an unchanged
//! file: a variable or a file that it refers to may have changed.
//!
//! Reading order: [`Watch::look`] is the decision, [`Watcher`] asks it again and again, [`watch`] loads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::checked::{Config, Env};
use super::problem::Problems;

/// How often the file is looked at.
pub const PERIOD: Duration = Duration::from_secs(2);

/// What was seen of a file, to decide when to load it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What was loaded last, or refused; `None` where the file could not be read.
    tried: Option<String>,
    /// What was there at the last look, where that is something else.
    seen: Option<Option<String>>,
}

/// What to do after a look at the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is as it was.
    Keep,
    /// Look again: it changed just now.
    Wait,
    /// Load it.
    Load,
}

impl Watch {
    /// After a file with this content was loaded.
    pub const fn new(content: Option<String>) -> Self {
        Self { tried: content, seen: None }
    }

    /// What to do when this is the file's content now (`None` where it cannot be read).
    pub fn look(&mut self, content: Option<String>) -> Step {
        if content == self.tried {
            self.seen = None;
            return Step::Keep;
        }
        if self.seen.as_ref() != Some(&content) {
            self.seen = Some(content);
            return Step::Wait;
        }
        self.tried = content;
        self.seen = None;
        Step::Load
    }

    /// The file is loaded for another reason, with this content.
    pub fn loaded(&mut self, content: Option<String>) {
        *self = Self::new(content);
    }
}

/// Waits for the moments at which a file is to be loaded.
#[derive(Debug)]
pub struct Watcher {
    file: PathBuf,
    env: Env,
    watch: Watch,
    ticks: Interval,
    hangup: Option<Signal>,
}

impl Watcher {
    /// A watcher of a file that was just loaded. Must be called on a runtime; from then on no SIGHUP ends the process.
    pub fn new(file: &Path, env: Env) -> Self {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(%error, "SIGHUP will not reload the configuration"))
            .ok();
        let watch = Watch::new(env.file(file).ok());
        Self { file: file.to_owned(), env, watch, ticks, hangup }
    }

    /// Returns when the file is to be loaded. May be dropped and called again at any time.
    pub async fn changed(&mut self) {
        loop {
            let forced = match &mut self.hangup {
                None => {
                    self.ticks.tick().await;
                    false
                }
                Some(hangup) => tokio::select! {
                    received = hangup.recv() => received.is_some(),
                    _ = self.ticks.tick() => false,
                },
            };
            let content = self.env.file(&self.file).ok();
            if forced {
                self.watch.loaded(content);
                return;
            }
            if self.watch.look(content) == Step::Load {
                return;
            }
        }
    }
}

/// Loads the file whenever it is to be loaded, and hands over what came of it: the next configuration, or
/// what is wrong with it, after which the old one stays in force. Ends when it is dropped.
pub async fn watch(mut watcher: Watcher, mut apply: impl FnMut(Result<Config, Problems>)) {
    loop {
        watcher.changed().await;
        apply(Config::load(&watcher.file, &watcher.env));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[test]
    fn a_file_is_loaded_once_it_changed_and_stands_still() {
        let mut watch = Watch::new(Some("a".into()));
        for (step, (content, expected)) in [
            (Some("a"), Step::Keep),
            (Some("b"), Step::Wait),
            (Some("bc"), Step::Wait),
            (Some("bc"), Step::Load),
            (Some("bc"), Step::Keep),
            // Gone for a moment, as when an editor renames: not even looked into.
            (None, Step::Wait),
            (Some("bc"), Step::Keep),
            // Gone for good: loaded, so that somebody is told.
            (None, Step::Wait),
            (None, Step::Load),
            (None, Step::Keep),
            // Back again.
            (Some("bc"), Step::Wait),
            (Some("bc"), Step::Load),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(watch.look(content.map(str::to_owned)), expected, "step {step}");
        }
    }

    #[test]
    fn a_refused_file_is_not_tried_again_until_it_changes() {
        let mut watch = Watch::new(Some("good".into()));
        let mut look = |content: &str| watch.look(Some(content.into()));
        assert_eq!(
            [look("bad"), look("bad"), look("bad"), look("bad")],
            [Step::Wait, Step::Load, Step::Keep, Step::Keep]
        );
        assert_eq!([look("good"), look("good")], [Step::Wait, Step::Load]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_handed_over_and_a_broken_one_as_what_is_wrong_with_it() {
        let content = Arc::new(Mutex::new(String::from("limits: { requests_per_minute: 1 }")));
        let set = |text: &str| text.clone_into(&mut content.lock().unwrap_or_else(PoisonError::into_inner));
        let inner = Arc::clone(&content);
        let env =
            Env::new(|_| None, move |_| Ok(inner.lock().unwrap_or_else(PoisonError::into_inner).clone()));
        let (sender, mut applied) = tokio::sync::mpsc::unbounded_channel();
        let file = Path::new("nova.yaml");
        let apply = move |config: Result<Config, Problems>| {
            let shown =
                config.map(|config| config.limits.requests_per_minute).map_err(|error| error.summary());
            // The test may have ended.
            let _ = sender.send(shown);
        };
        let script = async {
            // Long enough for nothing to happen, in a time that is not real.
            tokio::time::sleep(PERIOD * 5).await;
            assert!(applied.try_recv().is_err());
            set("limits: { requests_per_minute: 2 }");
            assert_eq!(applied.recv().await, Some(Ok(Some(2))));
            set("limits: { requests_per_minut: 3 }");
            let refused = "nova.yaml:1:11: there is no key `requests_per_minut` here".to_owned();
            assert_eq!(applied.recv().await, Some(Err(refused)));
            set("limits: { requests_per_minute: 3 }");
            assert_eq!(applied.recv().await, Some(Ok(Some(3))));
        };
        tokio::select! {
            () = watch(Watcher::new(file, env), apply) => {}
            () = script => {}
        }
    }
}

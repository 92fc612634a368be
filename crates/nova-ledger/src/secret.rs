//! A value that must never be printed.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::LedgerError;
use crate::keys::token;

/// A secret text: a key, a provider's credential, a pepper.
///
/// It has no `Display` and no `Serialize`, its `Debug` shows `Secret(***)`, and its memory is overwritten
/// when it is dropped. The one way to the content is [`Secret::expose`], so a search for that word finds
/// every place that uses one.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The content. Never log it, never put it in an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// 43 random base62 characters, which is 256 bits, from the operating system.
    ///
    /// # Errors
    /// [`LedgerError::Randomness`] when the operating system has none to give.
    pub fn random() -> Result<Self, LedgerError> {
        token::random_text("")
    }

    /// Reads the secret in the file at `path`, or makes a random one and writes it there with mode 0600.
    ///
    /// Two processes that start at once end up with the same secret: the file is written under another name,
    /// then linked into place, which fails for the second one, and that one reads what the first wrote.
    ///
    /// # Errors
    /// [`LedgerError::File`] when the file can be neither read nor made; [`LedgerError::Randomness`].
    pub fn load_or_create(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::File { path: path.to_owned(), source };
        if let Some(secret) = read(path).map_err(failed)? {
            return Ok(secret);
        }
        let fresh = Self::random()?;
        match publish(path, &fresh) {
            Ok(()) => Ok(fresh),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                read(path).map_err(failed)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

fn read(path: &Path) -> io::Result<Option<Secret>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            Ok(Some(Secret::new(text.trim_end())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn publish(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", uuid::Uuid::now_v7()));
    let draft = Path::new(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    let linked = file
        .write_all(secret.expose().as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(draft, path));
    fs::remove_file(draft)?;
    linked?;
    // The name must outlive a power cut too: without this secret every stored key is worthless.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("nsk_planted");
        for shown in [format!("{secret:?}"), format!("{:?}", Some(&secret)), format!("{secret:#?}")] {
            assert!(!shown.contains("planted"), "{shown}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }
}

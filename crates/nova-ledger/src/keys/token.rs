//! The text of a key: how it is made, recognised and hashed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::LedgerError;
use crate::keys::Scope;
use crate::secret::Secret;

/// 43 characters of 62 kinds carry 256.03 bits. No `-` and no `_`, so that a double click selects the whole
/// key.
const RANDOM_CHARS: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KIND_CHARS: usize = 4;
const PREFIX_CHARS: usize = 8;

pub(crate) type Digest = [u8; 32];

/// HMAC-SHA-256 under the pepper (RFC 2104). A key has 256 random bits, so a slow hash would protect nothing
/// more; the pepper lives outside the database, so a stolen database does not even allow testing a guess.
pub(crate) struct Hasher(Hmac<Sha256>);

impl Hasher {
    pub(crate) fn new(pepper: &Secret) -> Result<Self, LedgerError> {
        let bytes = pepper.expose().as_bytes();
        // An empty or short pepper is a configuration mistake, and HMAC would accept it without a word.
        Hmac::new_from_slice(bytes)
            .ok()
            .filter(|_| bytes.len() >= 32)
            .map(Self)
            .ok_or(LedgerError::ShortPepper { bytes: bytes.len() })
    }

    /// No allocation: the state after the pepper's block is copied on the stack.
    pub(crate) fn digest(&self, text: &str) -> Digest {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// A fresh key of this scope.
pub(crate) fn generate(scope: Scope) -> Result<Secret, LedgerError> {
    random_text(scope.token_kind())
}

/// `start`, then 256 random bits in base62.
pub(crate) fn random_text(start: &str) -> Result<Secret, LedgerError> {
    let mut text = Zeroizing::new(String::with_capacity(start.len() + RANDOM_CHARS));
    text.push_str(start);
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while text.len() < start.len() + RANDOM_CHARS {
        getrandom::fill(&mut *bytes).map_err(LedgerError::Randomness)?;
        // 248 = 4 * 62: larger bytes are thrown away, because their remainder would favour the first
        // characters.
        for byte in bytes.iter().filter(|byte| **byte < 248).take(start.len() + RANDOM_CHARS - text.len()) {
            text.push(char::from(ALPHABET[usize::from(byte % 62)]));
        }
    }
    Ok(Secret::new(text.as_str()))
}

/// Whether a text can be a key at all. Answers without hashing, so that noise costs nothing.
pub(crate) fn is_well_formed(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == KIND_CHARS + RANDOM_CHARS
        && (text.starts_with(Scope::User.token_kind()) || text.starts_with(Scope::Admin.token_kind()))
        && bytes[KIND_CHARS..].iter().all(u8::is_ascii_alphanumeric)
}

/// Whether a text begins as our keys do, so that it may be one, cut or whole.
pub(crate) fn looks_like_key(text: &str) -> bool {
    text.starts_with(Scope::User.token_kind()) || text.starts_with(Scope::Admin.token_kind())
}

/// What lists show of a key: `nsk_` and four characters. 24 of 256 bits tell keys apart and help nobody to
/// guess one.
pub(crate) fn prefix(text: &str) -> &str {
    text.get(..PREFIX_CHARS).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_well_formed_and_tell_their_scope() {
        for scope in [Scope::User, Scope::Admin] {
            let (one, other) = (generate(scope).unwrap(), generate(scope).unwrap());
            assert_ne!(one.expose(), other.expose());
            assert!(is_well_formed(one.expose()));
            assert_eq!(one.expose().len(), 47);
            assert!(prefix(one.expose()).starts_with(scope.token_kind()));
        }
        let random = Secret::random().unwrap();
        assert_eq!(random.expose().len(), RANDOM_CHARS);
    }

    #[test]
    fn noise_is_recognised_without_hashing() {
        let long = "nsk_".to_owned() + &"a".repeat(44);
        let odd = "nsk_".to_owned() + &"a".repeat(42) + "-";
        let wide = "nsk_".to_owned() + &"a".repeat(41) + "é";
        let other = "sk-_".to_owned() + &"a".repeat(43);
        for noise in ["", "nsk_", "sk-abc", "é", &long, &odd, &wide, &other] {
            assert!(!is_well_formed(noise), "{noise}");
        }
    }

    #[test]
    fn the_hash_is_hmac_sha_256() {
        let pepper = String::from_utf8(vec![0x41; 131]).unwrap();
        let ours = Hasher::new(&Secret::new(pepper))
            .unwrap()
            .digest("Test Using Larger Than Block-Size Key - Hash Key First");
        // The shape of RFC 4231, test case 6 (a pepper longer than a block); the value is from Python's
        // `hmac` module.
        assert_eq!(crate::hex(&ours), "a693a68b7070e1f15547eec9139b3c3fc5334b39b8e04330175a81c38942d50d");
    }

    #[test]
    fn a_short_pepper_is_refused() {
        for bytes in [0, 1, 31] {
            assert!(Hasher::new(&Secret::new("p".repeat(bytes))).is_err(), "{bytes}");
        }
        assert!(Hasher::new(&Secret::new("p".repeat(32))).is_ok());
    }
}

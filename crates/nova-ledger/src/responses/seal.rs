//! Encryption at rest: AES-256-GCM (NIST SP 800-38D) under a key that is made of the pepper, which lives
//! outside the database. A row is bound to its key and its id, so rows cannot be swapped.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::keys::token::Hasher;

/// What the key is made for; another purpose gets another key.
const PURPOSE: &str = "nova-ledger responses 1";

/// Seals and opens.
pub(crate) struct Seal(Option<RandomizedNonceKey>);

impl Seal {
    pub(crate) fn new(hasher: &Hasher) -> Self {
        // A digest has the length that the key needs, so this is always there.
        Self(RandomizedNonceKey::new(&AES_256_GCM, &hasher.digest(PURPOSE)).ok())
    }

    /// The text, encrypted; `None` where the system gives no random nonce.
    pub(crate) fn seal(&self, bound_to: &str, text: &str) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        let aad = Aad::from(bound_to.as_bytes());
        let nonce = self.0.as_ref()?.seal_in_place_append_tag(aad, &mut bytes).ok()?;
        Some(STANDARD_NO_PAD.encode([&nonce.as_ref()[..], &bytes].concat()))
    }

    /// The text again; `None` where it was sealed under another pepper, for another row, or was changed.
    pub(crate) fn open(&self, bound_to: &str, sealed: &str) -> Option<String> {
        let mut bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, body) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(bound_to.as_bytes());
        let text = self.0.as_ref()?.open_in_place(nonce, aad, body).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn seal(pepper: &str) -> Seal {
        Seal::new(&Hasher::new(&Secret::new(pepper)).ok().unwrap())
    }

    #[test]
    fn only_the_same_pepper_and_the_same_row_open_what_was_sealed() {
        let ours = seal("0123456789abcdef0123456789abcdef");
        let sealed = ours.seal("row", "a secret").unwrap();
        assert_eq!(ours.open("row", &sealed).as_deref(), Some("a secret"));
        assert_ne!(ours.seal("row", "a secret").unwrap(), sealed, "every nonce is another");
        assert_eq!(ours.open("other row", &sealed), None);
        assert_eq!(seal("fedcba9876543210fedcba9876543210").open("row", &sealed), None);
        for damaged in ["", "AAAA", &sealed[..20], &sealed.replace(|c: char| c.is_ascii_digit(), "x")] {
            assert_eq!(ours.open("row", damaged), None, "{damaged}");
        }
    }
}

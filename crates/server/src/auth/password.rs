//! People's passwords: Argon2id, on blocking threads, few at a time.

use std::sync::{LazyLock, PoisonError};

use anyhow::anyhow;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use sallyport_protocol::Secret;
use tokio::sync::Semaphore;

/// The fewest characters of a password.
pub(crate) const CHARS_MIN: usize = 10;

/// The most bytes of a password: more is not a password but an attack on the processor.
pub(crate) const BYTES_MAX: usize = 1024;

/// Hashing takes 19 MiB and some ten milliseconds each; more at once would let strangers fill memory and cores.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Verified when there is no such person, so that the answer takes as long as for one that there is.
static NOBODY: LazyLock<std::sync::Mutex<Option<String>>> = LazyLock::new(Default::default);

/// The hash of a new password, as a PHC string.
pub(crate) async fn hash(password: Secret) -> anyhow::Result<String> {
    let _turn = AT_ONCE.acquire().await?;
    tokio::task::spawn_blocking(move || hash_now(&password)).await?
}

/// Whether this is the password; takes its time even where there is no hash to compare with.
pub(crate) async fn verify(password: Secret, hash: Option<String>) -> anyhow::Result<bool> {
    let _turn = AT_ONCE.acquire().await?;
    tokio::task::spawn_blocking(move || {
        let known = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => nobody()?,
        };
        let parsed = PasswordHash::new(&hash).map_err(|error| anyhow!("a stored password hash is damaged: {error}"))?;
        Ok(Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok() && known)
    })
    .await?
}

fn nobody() -> anyhow::Result<String> {
    let mut kept = NOBODY.lock().unwrap_or_else(PoisonError::into_inner);
    match &*kept {
        Some(hash) => Ok(hash.clone()),
        None => {
            let hash = hash_now(&Secret::new("nobody's password"))?;
            *kept = Some(hash.clone());
            Ok(hash)
        }
    }
}

fn hash_now(password: &Secret) -> anyhow::Result<String> {
    Argon2::default()
        .hash_password(password.expose().as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| anyhow!("hashing a password: {error}"))
}

//! People's passwords: Argon2id, on blocking threads, few at a time.

use std::sync::{LazyLock, PoisonError};
use std::time::Duration;

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

/// How long a turn is waited for; strangers can make others wait no longer.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// Why a password was not looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Too many are at it.
    #[error("too many logins at one time")]
    Busy,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

/// The hash of a new password, as a PHC string.
pub(crate) async fn hash(password: Secret) -> Result<String, Error> {
    in_turn(move || hash_now(&password)).await
}

/// Whether this is the password; takes its time even where there is no hash to compare with.
pub(crate) async fn verify(password: Secret, hash: Option<String>) -> Result<bool, Error> {
    in_turn(move || {
        let known = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => nobody()?,
        };
        let parsed = PasswordHash::new(&hash).map_err(|error| anyhow!("a stored password hash is damaged: {error}"))?;
        Ok(Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok() && known)
    })
    .await
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T, Error> {
    let turn = tokio::time::timeout(TURN_WITHIN, AT_ONCE.acquire()).await.map_err(|_| Error::Busy)?;
    let _turn = turn.map_err(anyhow::Error::from)?;
    let done = tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from)?;
    Ok(done?)
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

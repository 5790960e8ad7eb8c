//! What a start finds or makes before it listens.

use std::time::Duration;

use anyhow::Context;
use sallyport_protocol::{Clock, Secret, UserId};
use sallyport_store::{First, Login, Store};

use crate::secrets::{Purpose, Secrets};

/// The word under which set-up tokens are kept.
pub(crate) const SETUP: &str = "setup";

/// A set-up link that is not used by then is replaced by another start.
const SETUP_VALID: Duration = Duration::from_secs(7 * 24 * 3600);

/// Makes company, environment, background agent and administrator if there are none. Answers with a fresh one-time
/// token as long as the administrator has no password; earlier ones stop working.
pub(crate) async fn prepare(store: &Store, secrets: &Secrets, clock: &Clock) -> anyhow::Result<Option<Secret>> {
    let first = First {
        company: "Company".into(),
        environment: "production".into(),
        administrator: "Administrator".into(),
        now: clock.now(),
    };
    if store.initialise(first).await.context("making company and environment")?.is_some() {
        tracing::info!("company, environment `production`, background agent and administrator made");
    }
    match store.person_without_password().await? {
        Some(person) => setup_token(store, secrets, clock, person).await.map(Some),
        None => Ok(None),
    }
}

/// A fresh one-time token to set a person's password.
pub(crate) async fn setup_token(
    store: &Store,
    secrets: &Secrets,
    clock: &Clock,
    person: UserId,
) -> anyhow::Result<Secret> {
    let token = Secrets::token("setup_")?;
    let now = clock.now();
    let login = Login { hash: secrets.hash(Purpose::OneTime, &token), person, now, expires_at: now.plus(SETUP_VALID) };
    store.create_one_time_token(SETUP, login).await.context("keeping the set-up token")?;
    Ok(token)
}

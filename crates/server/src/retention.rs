//! Removes what its environment keeps no longer.

use std::time::Duration;

use sallyport_store::{Environment, Error, Removed};

use crate::app::App;

/// How often old things are looked for.
const EVERY: Duration = Duration::from_secs(3600);

/// Between two parts of much to remove: others are to write meanwhile.
const PAUSE: Duration = Duration::from_millis(200);

/// What people changed is kept this long.
const AUDIT_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

/// An agent's process that has sent nothing for this long sends nothing again.
const PROCESS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Removes what is old, until the server stops.
pub(crate) async fn keep_up(app: &App) {
    let removing = async {
        loop {
            if let Err(error) = sweep(app).await {
                tracing::warn!(%error, "what is old could not be removed; trying again in an hour");
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = removing => {}
        () = app.stop.cancelled() => {}
    }
}

async fn sweep(app: &App) -> Result<(), Error> {
    for environment in app.store.all_environments().await? {
        let removed = empty(app, &environment).await?;
        if removed != Removed::default() {
            let Removed { runs, lines, .. } = removed;
            tracing::info!(environment = environment.name, runs, lines, "old runs and log lines removed");
        }
    }
    let now = app.clock.now();
    while app.store.trim_audit(now.minus(AUDIT_KEPT)).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    app.store.forget_log_batches(now.minus(PROCESS_KEPT)).await
}

async fn empty(app: &App, environment: &Environment) -> Result<Removed, Error> {
    let mut all = Removed::default();
    loop {
        // What is kept may be changed meanwhile.
        let retention = app.store.retention(environment.id).await?;
        let removed = app.store.remove_old(environment.id, retention, app.clock.now()).await?;
        all.runs += removed.runs;
        all.lines += removed.lines;
        if !removed.more {
            return Ok(all);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

//! Releases of agent and wrapper: what is published, by whom it must be signed, and the archives for wrappers.
//!
//! The server keeps and hands out; whether a release is installed is decided by the signatures, on each machine.

use std::io::SeekFrom;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sallyport_release::{Digest, Signature, Signed, Trust};
use sallyport_store::Release;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::{Body as JsonBody, Params, Path};
use crate::http::problem::{Code, Problem, Result};
use crate::http::time::{maybe_rfc3339, rfc3339};
use crate::http::who::Who;
use crate::release::archives;

/// The setting that holds the publisher's keys.
const TRUST: &str = "release_trust";

/// The size of the pieces that an archive leaves in.
const PIECE_BYTES: usize = 64 * 1024;

/// A manifest with its signatures, as `sallyport releases sign` writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedView {
    /// The manifest's text, byte for byte as it was signed.
    manifest: String,
    /// Who signed it.
    signatures: Vec<SignatureView>,
}

/// A signature.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureView {
    /// The key's name: 16 hexadecimal digits.
    key: String,
    /// In base64.
    signature: String,
}

/// The publisher's keys.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysView {
    /// How many of the keys must have signed.
    threshold: usize,
    /// Public keys, `ed25519:` and base64.
    keys: Vec<String>,
}

/// All releases.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReleasesView {
    /// The newest first.
    items: Vec<ReleaseView>,
}

/// A release.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReleaseView {
    /// Of its archive.
    sha256: String,
    /// What is released.
    product: String,
    /// For which platform.
    platform: String,
    /// Its version.
    version: String,
    /// The largest is the newest.
    sequence: u64,
    /// The archive's bytes.
    size: u64,
    /// Names of the keys that have signed it.
    signed_by: Vec<String>,
    /// `waits_for_archive`, `offered` or `withdrawn`.
    state: &'static str,
    /// Who published it.
    published_by: String,
    /// When.
    published_at: String,
    /// Since when it is offered to nobody any more.
    withdrawn_at: Option<String>,
}

impl From<Release> for ReleaseView {
    fn from(release: Release) -> Self {
        let signed_by = Signed::parse(&release.signed)
            .map(|signed| signed.signatures.iter().map(|signature| signature.key.to_string()).collect());
        Self {
            signed_by: signed_by.unwrap_or_default(),
            state: match (release.withdrawn_at, release.stored_at) {
                (Some(_), _) => "withdrawn",
                (None, Some(_)) => "offered",
                (None, None) => "waits_for_archive",
            },
            sha256: release.sha256,
            product: release.product,
            platform: release.platform,
            version: release.version,
            sequence: release.sequence,
            size: release.size,
            published_by: release.published_by,
            published_at: rfc3339(release.published_at),
            withdrawn_at: maybe_rfc3339(release.withdrawn_at),
        }
    }
}

/// The releases of agent and wrapper.
#[utoipa::path(get, path = "/releases", tag = "releases", responses((status = 200, body = ReleasesView)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Who) -> Result<Json<ReleasesView>> {
    let items = app.store.releases().await?.into_iter().map(ReleaseView::from).collect();
    Ok(Json(ReleasesView { items }))
}

/// Publish a signed manifest. Its archive comes next; from then on the release is offered. The same archive may be
/// published again with a newer manifest.
#[utoipa::path(post, path = "/releases", tag = "releases", request_body = SignedView,
    responses((status = 201, body = ReleaseView)))]
pub(crate) async fn publish(
    State(app): State<Arc<App>>,
    who: Who,
    JsonBody(body): JsonBody<SignedView>,
) -> Result<(StatusCode, Json<ReleaseView>)> {
    let signed = signed(body)?;
    let manifest = signed.content().map_err(|error| Problem::field("/manifest", "manifest", error.to_string()))?;
    let now = app.clock.now();
    if let Some(trust) = trust(&app).await? {
        trust
            .check_signatures(&signed)
            .map_err(|refused| Problem::field("/signatures", "signatures", refused.to_string()))?;
    }
    if manifest.expires <= now.0.div_euclid(1_000_000) {
        return Err(Problem::field("/manifest", "expired", "the manifest has expired; sign the release again"));
    }
    let release = Release {
        sha256: manifest.sha256.to_string(),
        product: manifest.product,
        platform: manifest.platform,
        version: manifest.version.to_string(),
        sequence: manifest.sequence,
        size: manifest.size,
        signed: signed.to_text(),
        published_by: who.name(),
        published_at: now,
        stored_at: None,
        withdrawn_at: None,
    };
    let release = app.store.publish_release(release).await?;
    tracing::info!(release.version, release.platform, sha256 = release.sha256, by = %who.person.id, "release published");
    app.live.gateway.offers_changed();
    Ok((StatusCode::CREATED, Json(release.into())))
}

/// Send the archive of a published release, of exactly the size and hash of its manifest.
#[utoipa::path(put, path = "/releases/{sha256}/archive", tag = "releases",
    request_body(content = Vec<u8>, content_type = "application/zip"),
    params(("sha256" = String, Path, description = "Of the archive")), responses((status = 200, body = ReleaseView)))]
pub(crate) async fn archive(
    State(app): State<Arc<App>>,
    _: Who,
    Path(sha256): Path<String>,
    body: Body,
) -> Result<Json<ReleaseView>> {
    let release = app.store.release_of(&sha256).await.map_err(Problem::naming("release", &sha256))?;
    archives::keep(&app.config.data_dir, &release, body).await?;
    let release = app.store.release_stored(&sha256, Some(app.clock.now())).await?;
    app.live.gateway.offers_changed();
    Ok(Json(release.into()))
}

/// Withdraw a release: it is offered to nobody any more. Agents that run it go on with it.
#[utoipa::path(post, path = "/releases/{sha256}/withdraw", tag = "releases",
    params(("sha256" = String, Path, description = "Of the archive")), responses((status = 200, body = ReleaseView)))]
pub(crate) async fn withdraw(
    State(app): State<Arc<App>>,
    who: Who,
    Path(sha256): Path<String>,
) -> Result<Json<ReleaseView>> {
    app.store.withdraw_release(&sha256, app.clock.now()).await.map_err(Problem::naming("release", &sha256))?;
    let release = app.store.release_stored(&sha256, None).await?;
    archives::remove(&app.config.data_dir, &sha256).await;
    tracing::info!(release.version, sha256, by = %who.person.id, "release withdrawn");
    app.live.gateway.offers_changed();
    Ok(Json(release.into()))
}

/// The publisher's keys that new downloads of agents carry.
#[utoipa::path(get, path = "/release-keys", tag = "releases", responses((status = 200, body = KeysView)))]
pub(crate) async fn keys(State(app): State<Arc<App>>, _: Who) -> Result<Json<KeysView>> {
    let trust = trust(&app).await?;
    let keys = trust.as_ref().map(|trust| trust.keys.iter().map(ToString::to_string).collect()).unwrap_or_default();
    Ok(Json(KeysView { threshold: trust.map_or(1, |trust| trust.threshold), keys }))
}

/// Set the publisher's keys that new downloads of agents carry. Installed agents keep theirs.
#[utoipa::path(put, path = "/release-keys", tag = "releases", request_body = KeysView,
    responses((status = 200, body = KeysView)))]
pub(crate) async fn set_keys(
    State(app): State<Arc<App>>,
    who: Who,
    JsonBody(view): JsonBody<KeysView>,
) -> Result<Json<KeysView>> {
    let wrong = |error: String| Problem::field("/keys", "keys", error);
    let keys = view.keys.iter().map(|key| key.parse()).collect::<std::result::Result<_, _>>();
    let keys = keys.map_err(|error: sallyport_release::KeyError| wrong(error.to_string()))?;
    let trust = Trust::new(view.threshold, keys).map_err(|error| wrong(error.to_string()))?;
    app.store.set_setting(TRUST, &trust.to_text()).await?;
    tracing::warn!(keys = trust.keys.len(), threshold = trust.threshold, by = %who.person.id, "release keys changed");
    Ok(Json(view))
}

/// The publisher's keys, where they are set.
pub(crate) async fn trust(app: &App) -> Result<Option<Trust>> {
    let Some(text) = app.store.setting(TRUST).await? else { return Ok(None) };
    Ok(Some(Trust::parse(&text).context("reading the release keys")?))
}

fn signed(view: SignedView) -> Result<Signed> {
    let wrong = |error: String| Problem::field("/signatures", "signatures", error);
    let signatures = view.signatures.into_iter().map(|SignatureView { key, signature }| {
        let key = serde_json::from_value(serde_json::Value::String(key)).map_err(|error| wrong(error.to_string()))?;
        Ok(Signature { key, signature })
    });
    let signed = Signed { manifest: view.manifest, signatures: signatures.collect::<Result<_>>()? };
    Signed::parse(&signed.to_text()).map_err(|error| wrong(error.to_string()))
}

/// Which archive a wrapper wants.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// Its SHA-256.
    sha256: String,
}

/// A release's archive for a wrapper, from any byte on (`Range: bytes=N-`); asked with the agent's own credentials.
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Params(wanted): Params<Wanted>,
) -> Response {
    let agent = match app.live.gateway.authenticate(&headers, from.ip()).await {
        Ok(known) => known.agent,
        Err(refused) => return refused.into_response(),
    };
    let start = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(start_of).unwrap_or(0);
    match send(&app, &wanted.sha256, start).await {
        Ok(response) => {
            tracing::info!(agent = %agent.id, sha256 = wanted.sha256, start, "release fetched by a wrapper");
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// The first byte of `bytes=N-`; other ranges are answered with everything, as they may be.
fn start_of(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

async fn send(app: &App, sha256: &str, start: u64) -> Result<Response> {
    let missing = || Problem::new(Code::NotFound, format!("there is no release with the hash `{sha256}`"));
    // A hash and nothing else becomes part of a path.
    let hash: Digest = sha256.parse().map_err(|_| missing())?;
    let path = archives::path(&app.config.data_dir, &hash.to_string());
    let mut file = tokio::fs::File::open(&path).await.map_err(|_| missing())?;
    let shown = || format!("reading `{}`", path.display());
    let length = file.metadata().await.with_context(shown)?.len();
    if start >= length && start > 0 {
        let range = HeaderValue::from_str(&format!("bytes */{length}")).context("naming a range")?;
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response());
    }
    file.seek(SeekFrom::Start(start)).await.with_context(shown)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length - start));
    let mut status = StatusCode::OK;
    if start > 0 {
        let range = format!("bytes {start}-{}/{length}", length - 1);
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).context("naming a range")?);
        status = StatusCode::PARTIAL_CONTENT;
    }
    let rest = ReaderStream::with_capacity(file.take(length - start), PIECE_BYTES);
    Ok((status, headers, Body::from_stream(rest)).into_response())
}

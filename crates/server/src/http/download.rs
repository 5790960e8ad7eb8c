//! The agent's zip, made for each download, and the agent's program for wrappers that fetch it.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sallyport_domain::agent::Refused;
use sallyport_protocol::{LogLevel, Secret};
use sallyport_site::launchers::{SCHEDULER_BAT, START_BAT, START_SH, batch_file, read_me};
use sallyport_site::settings::RECONNECT_TIMEOUT_DEFAULT;
use sallyport_site::{Layout, ServerAddress, Settings, policy};
use sallyport_store::{Agent, AgentKind};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;
use utoipa::IntoParams;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::app::App;
use crate::http::agents::{find, refused};
use crate::http::extract::{Params, Path};
use crate::http::problem::{Code, Problem, Result};
use crate::http::releases;
use crate::http::who::Who;
use crate::release::{self, Missing, Programs};
use crate::secrets::{Purpose, Secrets};

/// The size of the pieces that a zip leaves in.
const PIECE_BYTES: usize = 64 * 1024;

/// The checksum of the agent's program, SHA-256 in hexadecimal digits; the wrapper refuses a program without it.
const CHECKSUM_HEADER: HeaderName = HeaderName::from_static("x-sallyport-sha256");

/// Pieces that wait for a slow reader; then the making waits.
const PIECES_MAX: usize = 4;

/// Fast rather than small: programs are large and a person waits.
const DEFLATE_LEVEL: i64 = 2;

/// For which platform.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Platform {
    /// linux-x86_64, linux-aarch64, windows-x86_64 or macos-aarch64; the agent's own setting by default.
    platform: Option<String>,
    /// What the site's `policy.toml` says at first: `restricted` (nothing but what the site adds) by default, or
    /// `permissive`.
    policy: Option<String>,
}

/// Download an agent: a zip with wrapper, agent, launchers and settings with fresh credentials, ready to start. A new
/// download revokes credentials that were never used, and leaves those in use alone.
#[utoipa::path(get, path = "/agents/{id}/download", tag = "agents",
    params(("id" = String, Path, description = "Id or name"), Platform),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>,
        description = "`Sallyport.Agent.<name>.zip`")))]
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(wanted): Params<Platform>,
    method: Method,
) -> Result<Response> {
    let agent = find(&app, &who, &id).await?;
    if agent.kind == AgentKind::Background {
        return Err(refused(Refused::Background("downloaded: it runs inside the server")));
    }
    let permissive = match wanted.policy.as_deref() {
        None | Some("restricted") => false,
        Some("permissive") => true,
        Some(other) => {
            let message = format!("`{other}` is no policy: expected restricted or permissive");
            return Err(Problem::field("/policy", "policy", message));
        }
    };
    let platform = wanted.platform.or_else(|| agent.platform.clone());
    let platform = platform.as_deref().unwrap_or(release::own_platform());
    let programs = programs(&app, platform).await?;

    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(&format!("Sallyport.Agent.{}.zip", agent.name))?);
    if method == Method::HEAD {
        // Nobody gets a zip, so that no password is made and none of an earlier zip is revoked.
        return Ok(headers.into_response());
    }

    let password = Secrets::token("")?;
    let hash = app.secrets.hash(Purpose::Agent, &password);
    let now = app.clock.now();
    app.store.issue_credential(who.environment.id, agent.id, (hash, None), false, now).await?;
    tracing::info!(agent = %agent.id, platform, by = %who.person.id, "agent download made");
    let trust = releases::trust(&app).await?.map(|trust| trust.to_text());
    let kit = Kit::new(&app, &agent, &password, Bundled { programs, trust, policy: policy::new_text(permissive) })?;
    Ok((headers, Body::from_stream(zipped(kit))).into_response())
}

/// The agent's program for a wrapper that installs or updates it; asked with the agent's own credentials.
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Params(wanted): Params<Platform>,
) -> Response {
    let agent = match app.live.gateway.authenticate(&headers, from.ip()).await {
        Ok(known) => known.agent,
        Err(refused) => return refused.into_response(),
    };
    let platform = wanted.platform.unwrap_or_else(|| release::own_platform().to_owned());
    let present = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    match program(&app, &platform, present).await {
        Ok(response) => {
            if response.status() == StatusCode::OK {
                tracing::info!(agent = %agent.id, platform, "agent program fetched by its wrapper");
            }
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// The program with its checksum; nothing but "not modified" for a wrapper that has it (`present`, its entity tag).
async fn program(app: &App, platform: &str, present: Option<&str>) -> Result<Response> {
    let programs = programs(app, platform).await?;
    let shown = programs.agent.display().to_string();
    let path = programs.agent.clone();
    let checksum = tokio::task::spawn_blocking(move || release::sha256(&path))
        .await
        .context("computing a checksum")?
        .with_context(|| format!("reading `{shown}`"))?;
    if present == Some(format!("\"{checksum}\"").as_str()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let file = tokio::fs::File::open(&programs.agent).await.with_context(|| format!("opening `{shown}`"))?;
    let length = file.metadata().await.with_context(|| format!("reading `{shown}`"))?.len();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(length)),
        (CHECKSUM_HEADER, HeaderValue::from_str(&checksum).context("naming a checksum")?),
    ];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(file, PIECE_BYTES))).into_response())
}

async fn programs(app: &App, platform: &str) -> Result<Programs> {
    let (release, data, platform) = (app.config.release_dir.clone(), app.config.data_dir.clone(), platform.to_owned());
    let found = tokio::task::spawn_blocking(move || release::programs(&release, &data, &platform)).await;
    found.context("looking for programs")?.map_err(missing)
}

fn missing(missing: Missing) -> Problem {
    match &missing {
        Missing::Unknown(_) => Problem::field("/platform", "platform", missing.to_string()),
        Missing::Program { .. } | Missing::Archive { .. } => Problem::new(Code::ReleaseMissing, missing.to_string()),
    }
}

/// A download's name: the plain one for old readers, and the exact one (RFC 6266).
pub(super) fn disposition(file: &str) -> Result<HeaderValue> {
    let plain: String = file.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let exact = file.bytes().fold(String::new(), |mut exact, byte| {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            exact.push(char::from(byte));
        } else {
            exact.push_str(&format!("%{byte:02X}"));
        }
        exact
    });
    HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"))
        .map_err(|error| Problem::internal(&error.into()))
}

/// What of the zip does not depend on the agent.
struct Bundled {
    programs: Programs,
    /// The publisher's keys: from here on the installation believes them, and not the server.
    trust: Option<String>,
    policy: String,
}

/// What goes into the zip.
struct Kit {
    bundled: Bundled,
    settings: Secret,
    ca_pem: Option<String>,
    read_me: String,
}

impl Kit {
    fn new(app: &App, agent: &Agent, password: &Secret, bundled: Bundled) -> Result<Self> {
        let url = &app.config.public_url;
        let server_address: ServerAddress =
            url.parse().map_err(|error| Problem::internal(&anyhow::anyhow!("public URL `{url}`: {error}")))?;
        let settings = Settings {
            targets: std::collections::BTreeMap::new(),
            library_level: LogLevel::Warning,
            allow_auto_update: true,
            username: agent.id.uuid().to_string(),
            password: password.clone(),
            server_address,
            reconnect_timeout: RECONNECT_TIMEOUT_DEFAULT,
            file_level: agent.levels.file,
            console_level: agent.levels.console,
            log_api_call_body: false,
            notify_updated: true,
            suppress_update: false,
            is_testing: false,
            proxy: None,
            print_queue_events: false,
        };
        Ok(Self {
            bundled,
            settings: settings.to_json(),
            ca_pem: app.ca_pem.clone(),
            read_me: read_me(&agent.name, url),
        })
    }

    fn write(&self, to: impl Write) -> anyhow::Result<()> {
        let mut zip = ZipWriter::new_stream(to);
        let Bundled { programs, trust, policy } = &self.bundled;
        let Programs { agent, wrapper, suffix } = programs;
        let settings = self.settings.expose();
        text(&mut zip, "appsettings.json", settings, 0o600)?;
        text(&mut zip, "Agent/appsettings.json", settings, 0o600)?;
        if let Some(ca) = &self.ca_pem {
            text(&mut zip, "server-ca.pem", ca, 0o644)?;
        }
        if let Some(trust) = trust {
            text(&mut zip, Layout::TRUST_FILE, trust, 0o644)?;
        }
        text(&mut zip, Layout::POLICY_FILE, policy, 0o644)?;
        text(&mut zip, "README.txt", &self.read_me, 0o644)?;
        text(&mut zip, "start.sh", START_SH, 0o755)?;
        text(&mut zip, "start.bat", &batch_file(START_BAT), 0o644)?;
        text(&mut zip, "scheduler.bat", &batch_file(SCHEDULER_BAT), 0o644)?;
        copy(&mut zip, &format!("sallyport-wrapper{suffix}"), wrapper)?;
        copy(&mut zip, &format!("Agent/sallyport-agent{suffix}"), agent)?;
        zip.finish()?.into_inner().flush()?;
        Ok(())
    }
}

type Zip<W> = ZipWriter<zip::write::StreamWriter<W>>;

fn options(mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(DEFLATE_LEVEL))
        .unix_permissions(mode)
}

fn text<W: Write>(zip: &mut Zip<W>, name: &str, text: &str, mode: u32) -> anyhow::Result<()> {
    zip.start_file(name, options(mode))?;
    zip.write_all(text.as_bytes())?;
    Ok(())
}

fn copy<W: Write>(zip: &mut Zip<W>, name: &str, program: &std::path::Path) -> anyhow::Result<()> {
    let mut file = File::open(program).with_context(|| format!("opening `{}`", program.display()))?;
    zip.start_file(name, options(0o755))?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece).with_context(|| format!("reading `{}`", program.display()))?;
        if read == 0 {
            return Ok(());
        }
        zip.write_all(&piece[..read])?;
    }
}

/// Makes the zip on a blocking thread while it is sent; a reader that goes ends the making.
fn zipped(kit: Kit) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send {
    let (pieces, sent) = mpsc::channel(PIECES_MAX);
    let failed = pieces.clone();
    let making = tokio::task::spawn_blocking(move || {
        let mut outlet = io::BufWriter::with_capacity(PIECE_BYTES, Outlet(pieces));
        if let Err(error) = kit.write(&mut outlet).and_then(|()| Ok(outlet.flush()?)) {
            tracing::warn!(error = format!("{error:#}"), "an agent download was not finished");
            // The connection breaks, so that nobody takes half a zip for a whole one.
            let _ = failed.blocking_send(Err(io::Error::other("the zip could not be made")));
        }
    });
    unfold((sent, making), |(mut sent, making)| async move { Some((sent.recv().await?, (sent, making))) }).fuse()
}

struct Outlet(mpsc::Sender<io::Result<Bytes>>);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! What people write in an `http` connection.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// How long a target may take to answer where the connection does not say.
const ANSWER_SECONDS: u32 = 60;

/// The longest that can be said.
const ANSWER_SECONDS_MAX: u32 = 3600;

/// A service that speaks HTTP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "HTTP service")]
pub(crate) struct Connection {
    /// Base address as the agent sees it, such as `https://erp.site:8443/api`.
    #[schemars(title = "Address", length(max = 2000), regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"))]
    pub(crate) url: String,
    /// Logs in with this user and the secret `password` (Basic).
    #[schemars(title = "User", length(min = 1, max = 500))]
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// Name of a header that carries the secret `header`, such as `X-Api-Key`.
    #[schemars(title = "Secret header", length(min = 1, max = 200))]
    #[serde(default)]
    pub(crate) secret_header: Option<String>,
    /// Headers that are added to each request, by name.
    #[schemars(title = "Headers")]
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Certificate authority in PEM form that the server's certificate must come from. Left out: the system's roots.
    #[schemars(title = "Certificate authority", length(max = 16_000))]
    #[serde(default)]
    pub(crate) ca: Option<String>,
    /// Whether the certificate and the name in it are checked. Without that anybody on the way may pose as the service.
    #[schemars(title = "Check the certificate")]
    #[serde(default = "yes")]
    pub(crate) verify: bool,
    /// How long the service may take to begin its answer.
    #[schemars(title = "Answer within seconds", range(min = 1, max = 3600))]
    #[serde(default = "answer_seconds")]
    pub(crate) answer_seconds: u32,
}

/// How long the service of a connection may take to begin its answer.
pub fn answer_max(settings: &Value) -> Duration {
    let said = settings.get("answer_seconds").and_then(Value::as_u64).and_then(|seconds| u32::try_from(seconds).ok());
    Duration::from_secs(said.unwrap_or(ANSWER_SECONDS).clamp(1, ANSWER_SECONDS_MAX).into())
}

fn yes() -> bool {
    true
}

fn answer_seconds() -> u32 {
    ANSWER_SECONDS
}

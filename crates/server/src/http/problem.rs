//! What goes wrong, as people and programs see it: one closed table of codes, each with its status.

use std::any::Any;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sallyport_store::Error as StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::password;
use crate::gateway::AskError;

/// What a handler answers.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

macro_rules! codes {
    ($($variant:ident = $word:literal, $status:ident, $title:literal;)*) => {
        /// The stable word for a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// The whole table.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As it stands in answers.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The answer's status.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            /// In a few words, the same for every occurrence.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }
        }
    };
}

codes! {
    BadRequest = "bad_request", BAD_REQUEST, "The request cannot be read";
    BadSort = "bad_sort", BAD_REQUEST, "The list cannot be sorted like this";
    BadCursor = "bad_cursor", BAD_REQUEST, "The cursor does not belong to this list and sort";
    NotLoggedIn = "not_logged_in", UNAUTHORIZED, "A login or API token is needed";
    BadSignature = "bad_signature", UNAUTHORIZED, "The request is not signed as the trigger asks";
    WrongPassword = "wrong_password", UNAUTHORIZED, "E-mail address or password is wrong";
    SetupToken = "setup_token_not_good", FORBIDDEN, "The set-up link was used or has expired";
    ForeignOrigin = "foreign_origin", FORBIDDEN, "A page of another site sent this request";
    OperatorOnly = "operator_only", FORBIDDEN, "Only the operator of the server can do this";
    NeedsLogin = "needs_login", FORBIDDEN, "This needs a login; an API token is not enough";
    NotFound = "not_found", NOT_FOUND, "There is no such thing in this environment";
    NoSuchRoute = "no_such_route", NOT_FOUND, "There is nothing at this address";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The address does not take this method";
    SlowBody = "slow_body", REQUEST_TIMEOUT, "The request's body came too slowly";
    NameTaken = "name_taken", CONFLICT, "The name is taken";
    InUse = "in_use", CONFLICT, "Something else depends on it";
    TooMany = "too_many", CONFLICT, "There is no room for one more";
    AgentOnline = "agent_online", CONFLICT, "The agent is online";
    AgentOffline = "agent_offline", CONFLICT, "The agent is offline";
    AgentSilent = "agent_silent", GATEWAY_TIMEOUT, "The agent is online and did not answer in time";
    AgentAway = "agent_away", SERVICE_UNAVAILABLE, "No agent of the connection is online";
    SiteForbids = "not_allowed_by_site", FORBIDDEN, "The site's policy does not allow it";
    TargetFailed = "target_failed", BAD_GATEWAY, "The service behind the agent gives no answer that can be used";
    TargetSilent = "target_silent", GATEWAY_TIMEOUT, "The service behind the agent did not answer in time";
    HeadTooLarge = "head_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's headers are too large";
    AgentTooOld = "agent_too_old", CONFLICT, "The agent is too old for this";
    NothingNewer = "nothing_newer", CONFLICT, "There is nothing newer for the agent";
    BackgroundAgent = "background_agent", CONFLICT, "The background agent belongs to the platform";
    NoTunnel = "no_tunnel", CONFLICT, "No tunnel leads there";
    ReleaseMissing = "release_missing", CONFLICT, "The server has no programs for this platform";
    TaskInactive = "task_inactive", CONFLICT, "The task is inactive";
    TriggerStopped = "trigger_stopped", CONFLICT, "The trigger is paused or inactive";
    NotWebhook = "not_a_webhook", CONFLICT, "The trigger is no webhook";
    RunEnded = "run_ended", CONFLICT, "The run has ended";
    RunOpen = "run_open", CONFLICT, "The run goes on";
    NothingFailed = "nothing_failed", CONFLICT, "Nothing of the run failed";
    Changed = "changed_meanwhile", PRECONDITION_FAILED, "It was changed since you read it";
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The request is too large";
    MediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has another type than expected";
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "Some fields are not right";
    InvalidTask = "invalid_task", UNPROCESSABLE_ENTITY, "The task is not right";
    VersionRequired = "version_required", PRECONDITION_REQUIRED, "An edit needs the version it is based on";
    TooManyTries = "too_many_tries", TOO_MANY_REQUESTS, "Too many failed logins";
    TooOften = "too_often", TOO_MANY_REQUESTS, "The webhook is called too often";
    Internal = "internal", INTERNAL_SERVER_ERROR, "The server met a bug in itself";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The server cannot do this now";
}

/// A field that is not right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// Where: a JSON pointer into the document, such as `/steps/1/with/table`.
    pub(crate) path: String,
    /// The step's name, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<String>,
    /// A stable word, such as `unknown_agent`.
    pub(crate) code: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl From<sallyport_domain::task::Problem> for FieldProblem {
    fn from(problem: sallyport_domain::task::Problem) -> Self {
        Self { path: problem.path, step: problem.step, code: problem.code, message: problem.message }
    }
}

/// A problem (RFC 9457). `code` is stable; `detail` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ProblemView {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// In a few words, the same for every occurrence.
    pub(crate) title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The stable word.
    pub(crate) code: &'static str,
    /// What happened this time and what to do.
    pub(crate) detail: String,
    /// Every field that is not right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<FieldProblem>,
}

/// Why a request was not done.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    problems: Vec<FieldProblem>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), problems: Vec::new(), retry_after: None }
    }

    /// One field that is not right.
    pub(crate) fn field(path: &str, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(Code::Invalid, message.clone()).with(vec![FieldProblem {
            path: path.to_owned(),
            step: None,
            code: code.to_owned(),
            message,
        }])
    }

    #[must_use]
    pub(crate) fn with(mut self, problems: Vec<FieldProblem>) -> Self {
        self.problems = problems;
        self
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Which one it is.
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// What is wrong with the fields, where that is the problem.
    pub(crate) fn texts(&self) -> Option<Vec<&str>> {
        (self.code == Code::Invalid).then(|| self.problems.iter().map(|problem| problem.message.as_str()).collect())
    }

    /// What is wrong inside; the reader gets no more than that.
    pub(crate) fn internal(error: &anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "a request failed by a fault of the server");
        Self::new(Code::Internal, "the server could not do this; its log says why")
    }

    /// Names what was looked for in a "not found" of the store.
    pub(crate) fn naming(kind: &'static str, wanted: &str) -> impl FnOnce(StoreError) -> Self {
        let detail = format!("there is no {kind} `{wanted}` in this environment");
        move |error| match error {
            StoreError::NotFound => Self::new(Code::NotFound, detail),
            other => other.into(),
        }
    }
}

impl From<AskError> for Code {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Offline => Self::AgentOffline,
            AskError::Silent => Self::AgentSilent,
            AskError::TooOld => Self::AgentTooOld,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::NotFound => Self::new(Code::NotFound, "there is no such thing in this environment"),
            StoreError::Taken { .. } => Self::new(Code::NameTaken, format!("{detail}; choose another")),
            StoreError::Stale { current } => Self::new(
                Code::Changed,
                format!(
                    "it is at version {current} now; read it again, then send your change with `If-Match: \"{current}\"`"
                ),
            ),
            StoreError::InUse { .. } => Self::new(Code::InUse, detail),
            StoreError::TooMany { .. } => Self::new(Code::TooMany, detail),
            StoreError::BadSort { .. } => Self::new(Code::BadSort, detail),
            StoreError::BadCursor => Self::new(Code::BadCursor, detail),
            StoreError::TooSlow { .. } => {
                Self::new(Code::Unavailable, format!("{detail}; ask for less with filters such as `after` or `since`"))
            }
            StoreError::Closed => Self::new(Code::Unavailable, "the server stops; try again"),
            StoreError::Commit(_) => {
                tracing::error!(%detail, "a change was not kept");
                Self::new(Code::Unavailable, "the change was not kept; try again").retry_after(Duration::from_secs(5))
            }
            other => Self::internal(&other.into()),
        }
    }
}

impl From<password::Error> for Problem {
    fn from(error: password::Error) -> Self {
        match error {
            password::Error::Busy => Self::new(Code::Unavailable, "too many logins at one time; try again")
                .retry_after(Duration::from_secs(5)),
            password::Error::Fault(error) => Self::internal(&error),
        }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let view = ProblemView {
            kind: format!("/api/docs#problem-{}", self.code.word()),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code.word(),
            detail: self.detail,
            problems: self.problems,
        };
        let mut response = (status, Json(view)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer to a request whose handler panicked.
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    Problem::internal(&anyhow::anyhow!("a handler panicked: {text}")).into_response()
}

//! Channels: where notices go, as a person describes it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Rule;
use crate::connection::is_name;
use crate::task::{Problem, problem};

/// The most rules of a channel, tasks of a rule and receivers of a mail.
pub const RULES_MAX: usize = 50;

/// The most notices a channel sends in an hour unless it says otherwise.
pub const HOURLY_DEFAULT: u32 = 30;

/// The most that it can say.
const HOURLY_MAX: u32 = 1000;

/// Where notices go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Mail.
    Mail(Mail),
    /// An HTTP request.
    Webhook(Webhook),
}

/// A mail server and the mail's envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The server's name or address.
    pub host: String,
    /// 587 with `starttls`, 465 with `tls`, 25 with `none` by default.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: Protection,
    /// Certificates, as PEM, that are trusted besides the system's.
    #[serde(default)]
    pub ca: Option<String>,
    /// Who logs in, with the secret `password`; nobody where it is absent.
    #[serde(default)]
    pub user: Option<String>,
    /// The sender.
    pub from: String,
    /// The receivers.
    pub to: Vec<String>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// It begins in the clear and must then be encrypted.
    #[default]
    Starttls,
    /// It is encrypted from the start.
    Tls,
    /// Not at all.
    None,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://...` or `http://...`
    pub url: String,
    /// Certificates, as PEM, that are trusted besides the system's.
    #[serde(default)]
    pub ca: Option<String>,
}

/// What a person wants to save.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Its name.
    pub name: &'a str,
    /// `smtp` or `webhook`.
    pub kind: &'a str,
    /// As the kind says.
    pub settings: &'a Value,
    /// Names of the secrets.
    pub secrets: &'a [String],
    /// What it tells.
    pub rules: &'a [Rule],
    /// The most notices in an hour.
    pub hourly: u32,
}

impl Mail {
    /// The port, also where none is given.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Protection::Starttls => 587,
            Protection::Tls => 465,
            Protection::None => 25,
        })
    }
}

impl Target {
    /// Reads a channel's settings.
    ///
    /// # Errors
    /// What is wrong with the kind, or with their shape.
    pub fn read(kind: &str, settings: &Value) -> Result<Self, Problem> {
        match kind {
            "smtp" => shaped(settings).map(Self::Mail),
            "webhook" => shaped(settings).map(Self::Webhook),
            _ => {
                let message = format!("there is no kind of channel `{kind}`: expected smtp or webhook");
                Err(problem("/kind", "unknown_kind", message))
            }
        }
    }
}

/// Everything that is wrong with a channel.
pub fn check(draft: Draft<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !is_name(draft.name) {
        let message = format!("`{}` cannot be a name: expected 1 to 128 characters without `/`", draft.name);
        problems.push(problem("/name", "name", message));
    }
    let secret = match Target::read(draft.kind, draft.settings) {
        Ok(Target::Mail(mail)) => {
            problems.extend(mail_problems(&mail, draft.secrets));
            "password"
        }
        Ok(Target::Webhook(webhook)) => {
            problems.extend(url_problem(&webhook.url));
            "secret"
        }
        Err(wrong) => {
            problems.push(wrong);
            return problems;
        }
    };
    for unknown in draft.secrets.iter().filter(|name| *name != secret) {
        let message = format!("a channel of kind `{}` has no secret `{unknown}`: it has {secret}", draft.kind);
        problems.push(problem(&format!("/secrets/{unknown}"), "unknown_secret", message));
    }
    if draft.rules.len() > RULES_MAX || draft.rules.iter().any(|rule| rule.tasks.len() > RULES_MAX) {
        let message = format!("there are too many: at most {RULES_MAX} rules with {RULES_MAX} tasks each");
        problems.push(problem("/rules", "too_many", message));
    }
    if !(1..=HOURLY_MAX).contains(&draft.hourly) {
        let message = format!("`hourly` is {}: expected 1 to {HOURLY_MAX}", draft.hourly);
        problems.push(problem("/hourly", "range", message));
    }
    problems
}

fn shaped<T: DeserializeOwned>(settings: &Value) -> Result<T, Problem> {
    serde_json::from_value(settings.clone()).map_err(|error| problem("/settings", "settings", error.to_string()))
}

fn mail_problems(mail: &Mail, secrets: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong =
        |field: &str, message: String| problems.push(problem(&format!("/settings/{field}"), field, message));
    if mail.host.is_empty() || mail.host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        wrong("host", format!("`{}` is no host name", mail.host));
    }
    if mail.to.is_empty() || mail.to.len() > RULES_MAX {
        wrong("to", format!("name 1 to {RULES_MAX} receivers"));
    }
    let password = secrets.iter().any(|name| name == "password");
    if password != mail.user.is_some() {
        wrong("user", "a login needs both the setting `user` and the secret `password`".to_owned());
    }
    if mail.user.is_some() && mail.tls == Protection::None && !is_loopback(&mail.host) {
        wrong("tls", "a password is not sent in the clear: use starttls or tls".to_owned());
    }
    problems
}

fn url_problem(url: &str) -> Option<Problem> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let message = match host {
        None => "expected an address that begins with https:// or http://",
        Some("") => "the address has no host",
        // It would stand in the clear wherever the address is shown.
        Some(host) if host.contains('@') => "the address must not hold a password: receivers know us by the signature",
        Some(_) if url.contains(|c: char| c.is_whitespace() || c.is_control()) => "the address holds spaces",
        Some(_) => return None,
    };
    Some(problem("/settings/url", "url", message.to_owned()))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

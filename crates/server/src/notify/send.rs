//! One notice through one channel.

use std::collections::BTreeMap;
use std::time::Duration;

use sallyport_domain::notice::{Mail, Target, Webhook};
use sallyport_protocol::{Clock, ConnectionTest, Secret, Stage, shorten};
use sallyport_store::Channel;
use tokio::time::Instant;

use super::content::Content;
use super::{mail, webhook};
use crate::app::App;

/// How long a receiver may take in all.
pub(super) const WITHIN: Duration = Duration::from_secs(20);

/// The most of a problem that is kept, in bytes.
const PROBLEM_BYTES_MAX: usize = 1000;

/// A channel that is ready to send.
pub(crate) struct Sending {
    route: Route,
    signature: String,
    clock: Clock,
}

enum Route {
    Mail(mail::Route),
    Webhook(webhook::Route),
}

impl Sending {
    /// Opens the channel's secrets.
    ///
    /// # Errors
    /// What is wrong with its settings, for a person.
    pub(crate) fn new(app: &App, channel: &Channel) -> Result<Self, String> {
        let target = Target::read(&channel.kind, &channel.settings).map_err(|problem| problem.message)?;
        let opened =
            channel.sealed_secrets.as_ref().map(|sealed| app.secrets.open_map(&super::owner(channel.id), sealed));
        let mut secrets = opened.transpose().map_err(|error| format!("{error:#}"))?.unwrap_or_default();
        let route = match target {
            Target::Mail(settings) => Route::Mail(mail_route(settings, &mut secrets, &app.config.public_url)?),
            Target::Webhook(settings) => Route::Webhook(webhook::Route::new(settings, secrets.remove("secret"))),
        };
        let signature = format!("Sallyport, {}", app.config.public_url);
        Ok(Self { route, signature, clock: app.clock.clone() })
    }

    /// Sends it.
    ///
    /// # Errors
    /// Why the receiver did not take it, for a person.
    pub(crate) async fn send(&self, content: &Content) -> Result<(), String> {
        let sent = async {
            match &self.route {
                Route::Mail(route) => route.send(content, &self.signature).await,
                Route::Webhook(route) => route.send(content, self.clock.now()).await,
            }
        };
        let sent = tokio::time::timeout(WITHIN, sent).await;
        sent.unwrap_or_else(|_| Err(format!("the receiver did not take it within {} s", WITHIN.as_secs()))).map_err(cut)
    }

    /// Tries the channel with a test notice, stage by stage.
    pub(crate) async fn test(&self, content: &Content) -> ConnectionTest {
        let mut stages = Vec::new();
        if let Route::Mail(route) = &self.route {
            let began = Instant::now();
            let reached = tokio::time::timeout(WITHIN, route.reach()).await;
            let reached = reached.unwrap_or_else(|_| Err(format!("no answer within {} s", WITHIN.as_secs())));
            stages.push(stage("login", began, reached.map(|()| "the mail server lets us in".to_owned())));
            if stages.iter().any(|stage| !stage.ok) {
                return ConnectionTest { stages };
            }
        }
        let began = Instant::now();
        let sent = self.send(content).await.map(|()| format!("the receiver has taken notice {}", content.id()));
        stages.push(stage("delivery", began, sent));
        ConnectionTest { stages }
    }
}

/// What is wrong with a mail's addresses or an address's form: rules that need their parsers.
pub(crate) fn address_problem(target: &Target) -> Option<(&'static str, String)> {
    match target {
        Target::Mail(settings) => mail::address_problem(settings),
        Target::Webhook(Webhook { url, .. }) => {
            let parsed = url.parse::<http::Uri>();
            parsed.err().map(|error| ("/settings/url", format!("`{url}` is no address: {error}")))
        }
    }
}

fn mail_route(settings: Mail, secrets: &mut BTreeMap<String, Secret>, url: &str) -> Result<mail::Route, String> {
    mail::Route::new(settings, secrets.remove("password"), url)
}

fn stage(name: &str, began: Instant, outcome: Result<String, String>) -> Stage {
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (ok, detail) = match outcome {
        Ok(seen) => (true, seen),
        Err(problem) => (false, cut(problem)),
    };
    Stage { stage: name.to_owned(), ok, detail, millis }
}

fn cut(mut problem: String) -> String {
    shorten(&mut problem, PROBLEM_BYTES_MAX);
    problem
}

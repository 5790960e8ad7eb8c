//! The one-time link of the first start: name, e-mail address and password of the first administrator.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::{Form, Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sallyport_protocol::Secret;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::password;
use crate::first_start::SETUP;
use crate::http::docs::{self, escape};
use crate::http::extract::{Body, Params};
use crate::http::login::{EMAIL_BYTES_MAX, UserView};
use crate::http::problem::{Code, FieldProblem, Problem, Result};
use crate::secrets::Purpose;

/// The longest name of a person, in characters.
const NAME_CHARS_MAX: usize = 200;

/// What the first administrator sends.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Setup {
    /// From the link.
    #[schema(value_type = String)]
    token: Secret,
    /// The person's name.
    name: String,
    /// To log in with.
    email: String,
    /// At least 10 characters.
    #[schema(value_type = String)]
    password: Secret,
}

/// The link's parameter.
#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: Secret,
}

/// Set name, e-mail address and password of the first administrator, with the one-time token of the first start.
#[utoipa::path(post, path = "/setup", tag = "login", request_body = Setup, security(()),
    responses((status = 200, body = UserView, description = "The person can log in now")))]
pub(crate) async fn setup(State(app): State<Arc<App>>, Body(setup): Body<Setup>) -> Result<Json<UserView>> {
    set_up(&app, setup).await.map(Json)
}

/// The form behind the link.
pub(crate) async fn page(State(app): State<Arc<App>>, Params(link): Params<Link>) -> Response {
    let hash = app.secrets.hash(Purpose::OneTime, &link.token);
    match app.store.one_time_token_is_good(SETUP, hash, app.clock.now()).await {
        Ok(true) => html(StatusCode::OK, &form(&link.token, "")),
        Ok(false) => html(StatusCode::FORBIDDEN, GONE),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The form, sent.
pub(crate) async fn submit(State(app): State<Arc<App>>, Form(setup): Form<Setup>) -> Response {
    let token = setup.token.clone();
    match set_up(&app, setup).await {
        Ok(user) => html(StatusCode::OK, &done(&user.email)),
        Err(problem) => match problem.texts() {
            Some(texts) => html(StatusCode::UNPROCESSABLE_ENTITY, &form(&token, &texts.join(" "))),
            None if problem.code() == Code::SetupToken => html(StatusCode::FORBIDDEN, GONE),
            // The link is as good as before.
            None => problem.into_response(),
        },
    }
}

async fn set_up(app: &App, setup: Setup) -> Result<UserView> {
    let email = setup.email.trim().to_owned();
    let name = setup.name.trim().to_owned();
    let problems = problems(&name, &email, &setup.password);
    if !problems.is_empty() {
        let detail = "some fields are not right; `problems` names them";
        return Err(Problem::new(Code::Invalid, detail).with(problems));
    }
    let hash = app.secrets.hash(Purpose::OneTime, &setup.token);
    let now = app.clock.now();
    let not_good = || {
        Problem::new(
            Code::SetupToken,
            "the link was used or has expired; if the password is not set yet, start the server again for a new link",
        )
    };
    // Asked before the password is hashed, so that strangers cannot keep the processor busy.
    if !app.store.one_time_token_is_good(SETUP, hash.clone(), now).await? {
        return Err(not_good());
    }
    let password_hash = password::hash(setup.password).await?;
    let person =
        app.store.set_up_person(SETUP, hash, now, (name, email, password_hash)).await.map_err(|error| {
            if matches!(error, sallyport_store::Error::NotFound) { not_good() } else { error.into() }
        })?;
    tracing::info!(person = %person.id, "the first administrator is set up");
    Ok(UserView::from(&person))
}

fn problems(name: &str, email: &str, password: &Secret) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let mut add = |path: &str, code: &str, message: String| {
        problems.push(FieldProblem { path: path.into(), step: None, code: code.into(), message });
    };
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        add("/name", "name", format!("The name must have 1 to {NAME_CHARS_MAX} characters."));
    }
    let at = email.split_once('@');
    if email.len() > EMAIL_BYTES_MAX
        || email.chars().any(|c| c.is_whitespace() || c.is_control())
        || !at.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
    {
        add("/email", "email", "The e-mail address must have the form name@host.".into());
    }
    if password.expose().chars().count() < password::CHARS_MIN {
        add("/password", "too_short", format!("The password must have at least {} characters.", password::CHARS_MIN));
    }
    if password.expose().len() > password::BYTES_MAX {
        add("/password", "too_long", format!("The password must have at most {} bytes.", password::BYTES_MAX));
    }
    problems
}

const GONE: &str = "<h1>This link does not work any more</h1><p>It was used, or it has expired. If the password is not \
                    set yet, start the server again: it prints a new link.</p>";

fn form(token: &Secret, problem: &str) -> String {
    format!(
        "<h1>Welcome to Sallyport</h1><p>Set up the first administrator.</p><p class=\"problem\">{}</p>\
         <form method=\"post\" action=\"/setup\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
         <label>Name <input name=\"name\" required autocomplete=\"name\"></label>\
         <label>E-mail <input name=\"email\" type=\"email\" required autocomplete=\"username\"></label>\
         <label>Password (at least {} characters) <input name=\"password\" type=\"password\" required \
         autocomplete=\"new-password\"></label><button>Set password</button></form>",
        escape(problem),
        escape(token.expose()),
        password::CHARS_MIN
    )
}

fn done(email: &str) -> String {
    format!(
        "<h1>Done</h1><p>You can log in as <b>{}</b> now: <a href=\"/sign-in\">in the console</a>, or on a terminal \
         with <code>sallyport login</code>.</p>",
        escape(email)
    )
}

fn html(status: StatusCode, body: &str) -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(policy) = HeaderValue::from_str(&docs::policy("form-action 'self'")) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    (status, headers, Html(docs::html("Sallyport set-up", body))).into_response()
}

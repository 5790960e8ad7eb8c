//! `/via/<connection>/...`: requests to the service of an `http` connection, with an API token. And `/view/<ticket>/...`, the
//! same for a browser, whose address is the credential.
//!
//! Invariant: the console's cookie opens nothing here. A browser sends it, and remembered passwords, for whatever page asks:
//! a page that is not this server's gets nothing by them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use sallyport_connectors::http::{address, answer_max};
use sallyport_protocol::{
    AgentId, HttpOrder, Secret, TUNNEL_WORD_BYTES_MAX, TunnelOrder, TunnelRefusal, TunnelRefusalCode, TunnelWord,
    capability,
};
use sallyport_store::{Connection, Error as StoreError, Person};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::connections::find;
use crate::http::extract::Path;
use crate::http::problem::{Code, Problem, Result};
use crate::http::time::rfc3339;
use crate::http::who::Who;
use crate::tunnel::{Opened, Owner};
use crate::via::{Asked, Exchange, NoAnswer, NotAsked, Place, Ticket, run};

/// Behind this the connection's name stands.
const VIA: &str = "/via/";

/// Behind this a ticket stands.
const VIEW: &str = "/view/";

/// What a browser is asked for, and what it shows beside that.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"Sallyport: an API token as password\"");

/// Where a browser says where a request comes from, and what it is for.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Room in an order beside what varies in length.
const ORDER_BYTES: usize = 1024;

/// An address for a browser.
#[derive(Serialize, ToSchema)]
pub(crate) struct AddressView {
    /// Path on this server. Whoever has it may use the connection: it is worth a password.
    url: String,
    /// When it ends at the latest; it ends with the login or token that it was made with.
    ends_at: String,
}

/// Who asks a service, for what.
struct Asker {
    person: Person,
    connection: Connection,
    /// Where this server has the service.
    prefix: String,
    /// What stands behind that.
    rest: String,
    /// Whether the address alone is the credential.
    open: bool,
}

/// Make an address by which a browser sees the service of an `http` connection.
#[utoipa::path(post, path = "/connections/{id}/view", tag = "connections",
    params(("id" = String, Path, description = "Id or name")), responses((status = 201, body = AddressView)))]
pub(crate) async fn view(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<AddressView>)> {
    let connection = find(&app, &who, &id).await?;
    place(&connection, String::new())?;
    issue(&app, &who, &connection, "").map(|view| (StatusCode::CREATED, Json(view)))
}

fn issue(app: &App, who: &Who, connection: &Connection, behind: &str) -> Result<AddressView> {
    let ticket = Ticket { token: who.token.clone(), environment: who.environment.id, connection: connection.id };
    let (secret, ends_at) = app.tickets.issue(&app.secrets, ticket, app.clock.now())?;
    tracing::info!(connection = %connection.id, by = %who.person.id, "an address for a browser was made");
    Ok(AddressView { url: format!("{VIEW}{}/{behind}", secret.expose()), ends_at: rfc3339(ends_at) })
}

/// A request with a token.
pub(crate) async fn by_token(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match admit(&app, &parts).await {
        Ok(Admitted::Goes(asker)) => exchange(app, *asker, parts, body).await.unwrap_or_else(Problem::into_response),
        Ok(Admitted::Redirected(status, to)) => match HeaderValue::from_str(&to) {
            Ok(to) => (status, [(header::LOCATION, to)]).into_response(),
            Err(error) => Problem::internal(&error.into()).into_response(),
        },
        Err(problem) => {
            let mut response = problem.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
            }
            response
        }
    }
}

/// What becomes of a request with a token.
enum Admitted {
    Goes(Box<Asker>),
    Redirected(StatusCode, String),
}

async fn admit(app: &App, parts: &Parts) -> Result<Admitted> {
    let path = parts.uri.path().strip_prefix(VIA).unwrap_or_default();
    let Some((raw_name, rest)) = path.split_once('/') else {
        // Relative links of a page need the slash.
        return Ok(Admitted::Redirected(StatusCode::PERMANENT_REDIRECT, format!("{VIA}{path}/{}", query(parts))));
    };
    let (token, remembered) = token(&parts.headers).ok_or_else(|| {
        let detail = "send `Authorization: Bearer <token>` with an API token, or the token as password of HTTP Basic";
        Problem::new(Code::NotLoggedIn, detail)
    })?;
    if remembered {
        asked_here(&parts.headers)?;
    }
    let who = Who::by_token(app, parts, &token).await?;
    let name = decoded(raw_name).ok_or_else(|| Problem::new(Code::BadRequest, "the connection's name is not UTF-8"))?;
    let connection = find(app, &who, &name).await?;
    if remembered && opens_a_page(parts) {
        // The page gets an address that is its credential: in its sandbox it has no other.
        place(&connection, String::new())?;
        let view = issue(app, &who, &connection, &format!("{rest}{}", query(parts)))?;
        return Ok(Admitted::Redirected(StatusCode::SEE_OTHER, view.url));
    }
    let (prefix, rest) = (format!("{VIA}{raw_name}/"), rest.to_owned());
    Ok(Admitted::Goes(Box::new(Asker { person: who.person, connection, prefix, rest, open: false })))
}

/// A request whose address is its credential.
pub(crate) async fn by_ticket(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(VIEW).unwrap_or_default();
    let (secret, rest) = path.split_once('/').unwrap_or((path, ""));
    let asker = match ticketed(&app, secret, rest).await {
        Ok(asker) => asker,
        Err(problem) => return problem.into_response(),
    };
    if parts.method == Method::OPTIONS && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return allowed(&parts.headers);
    }
    exchange(app, asker, parts, body).await.unwrap_or_else(Problem::into_response)
}

async fn ticketed(app: &App, secret: &str, rest: &str) -> Result<Asker> {
    let gone = || {
        let detail = "the address is not good any more; open the connection again, in the console or below /via/";
        Problem::new(Code::NotFound, detail)
    };
    let ticket = app.tickets.find(&app.secrets, &Secret::new(secret), app.clock.now()).ok_or_else(gone)?;
    let login = app.store.token_login(ticket.token, app.clock.now()).await?.ok_or_else(gone)?;
    let named = ticket.environment.to_string();
    let missing = |error| match error {
        StoreError::NotFound => gone(),
        error => error.into(),
    };
    let environment = app.store.environment(login.person.company, Some(&named)).await.map_err(missing)?;
    let connection = app.store.connection(environment.id, &ticket.connection.to_string()).await.map_err(missing)?;
    let (prefix, rest) = (format!("{VIEW}{secret}/"), rest.to_owned());
    Ok(Asker { person: login.person, connection, prefix, rest, open: true })
}

/// The answer to a browser that asks whether a page in a sandbox may send a request: its address says so already.
fn allowed(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let any = HeaderValue::from_static("*");
    let asked = |name| headers.get(name).cloned().unwrap_or_else(|| any.clone());
    let (method, names) = (asked(header::ACCESS_CONTROL_REQUEST_METHOD), asked(header::ACCESS_CONTROL_REQUEST_HEADERS));
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// Where a connection's service is.
fn place(connection: &Connection, prefix: String) -> Result<Place> {
    let address = Some(connection).filter(|it| it.kind == "http").and_then(|it| address(&it.settings));
    let address = address.ok_or_else(|| {
        let detail = format!(
            "connection `{}` is of kind `{}`; requests go to connections of kind `http`, others are reached by \
             `sallyport tunnel`",
            connection.name, connection.kind
        );
        Problem::new(Code::NoTunnel, detail)
    })?;
    Ok(Place::new(address, prefix))
}

/// The agents that may send the request; an error where those that are online are all too old.
fn able(app: &App, connection: &Connection) -> Result<Vec<AgentId>> {
    let agents: Vec<AgentId> = connection.agents().collect();
    let links: Vec<_> = agents.iter().filter_map(|agent| app.live.gateway.link_of(*agent)).collect();
    if links.is_empty() || links.iter().any(|link| link.can(capability::VIA)) {
        return Ok(agents);
    }
    let names = connection.agent_names().collect::<Vec<_>>().join("`, `");
    Err(Problem::new(Code::NoTunnel, format!("agent `{names}` is too old for HTTP connections; update it")))
}

/// Sends a request on and gives the answer, whose body goes on behind it.
async fn exchange(app: Arc<App>, asker: Asker, mut parts: Parts, body: axum::body::Body) -> Result<Response> {
    let Asker { person, connection, prefix, rest, open } = asker;
    let place = place(&connection, prefix)?;
    let asked = Asked::new(&place, &parts.method, (&rest, parts.uri.query()), &parts.headers).map_err(not_asked)?;
    let (gateway, tunnels) = (app.live.gateway.clone(), app.live.tunnels.clone());
    let agents = able(&app, &connection)?;
    let who = person.email.clone().unwrap_or_else(|| person.name.clone());
    let about = (connection.id, connection.name.as_str());
    let seat = tunnels
        .join_kept(&gateway, (Owner::Person(person.id), who.clone()), about)
        .ok_or_else(|| Problem::new(Code::Unavailable, "too many requests to this connection at one time"))?;
    let (host, port) = sallyport_connectors::endpoint(&connection.kind, &connection.settings).unwrap_or_default();
    let Asked { method, target, headers, sends, expects, upgrades } = asked;
    let order = TunnelOrder {
        tunnel: seat.0.id(),
        stream: seat.0.next_stream(),
        connection: connection.name.clone(),
        kind: connection.kind.clone(),
        host,
        port,
        who,
        run: None,
        http: Some(Box::new(HttpOrder {
            connection: app.secrets.open_connection(&connection)?,
            method: method.to_string(),
            target,
            headers,
        })),
    };
    if serde_json::to_vec(&order).map_err(anyhow::Error::from)?.len() + ORDER_BYTES > TUNNEL_WORD_BYTES_MAX {
        let detail = "the request's address and headers, and what the connection adds, are too large together";
        return Err(Problem::new(Code::HeadTooLarge, detail));
    }
    let opened = tunnels.open(&seat.0, &agents, &order).await;
    let Opened { agent, line: mut theirs, word } = opened.map_err(|refusal| {
        seat.0.refuses(&refusal);
        refused(refusal)
    })?;
    let exchange = Exchange {
        body,
        sends,
        expects,
        bodiless: method == Method::HEAD,
        upgrade: if upgrades { parts.extensions.remove::<OnUpgrade>() } else { None },
        answer_max: answer_max(&connection.settings),
        place,
        open,
    };
    let (answered, answer) = oneshot::channel();
    let ending = tunnels.ending(&theirs);
    gateway.parts().tasks.spawn(async move {
        let counted = tunnels.counted();
        let done = run(theirs.line, exchange, answered, ending).await;
        counted.moved(done.sent + done.received);
        seat.0.moves(done.sent, done.received);
        let (tunnel, stream, reason) = (order.tunnel, order.stream, done.reason.as_str());
        let (sent, received) = (done.sent, done.received);
        let address = if let TunnelWord::Opened { address, .. } = &word { address.as_str() } else { "" };
        tracing::debug!(%tunnel, stream, %agent, address, %method, sent, received, reason, "a request ended");
        if let Some(line) = done.line {
            theirs.line = line;
            tunnels.give(agent, theirs);
        }
    });
    match answer.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(why)) => Err(no_answer(&connection, why)),
        Err(_) => Err(no_answer(&connection, NoAnswer::Broken("the stream to it was broken off".to_owned()))),
    }
}

fn not_asked(why: NotAsked) -> Problem {
    match why {
        NotAsked::Method => Problem::new(Code::MethodNotAllowed, "CONNECT and TRACE are not passed on"),
        NotAsked::Path => Problem::new(Code::BadRequest, "the path leaves the connection's address by `..`"),
    }
}

fn refused(refusal: TunnelRefusal) -> Problem {
    use TunnelRefusalCode as Why;
    let code = match refusal.code {
        Why::Policy | Why::NotAllowed => Code::SiteForbids,
        Why::AgentOffline => Code::AgentAway,
        Why::Timeout => Code::TargetSilent,
        Why::TooMany => Code::Unavailable,
        Why::Name | Why::Refused | Why::Unreachable | Why::Tls | Why::Other => Code::TargetFailed,
    };
    Problem::new(code, refusal.message)
}

fn no_answer(connection: &Connection, why: NoAnswer) -> Problem {
    let name = &connection.name;
    match why {
        NoAnswer::Silent(most) => {
            let detail = format!(
                "connection `{name}`: the service did not begin its answer within {} s; if it may take longer, raise the \
                 connection's `answer_seconds`",
                most.as_secs()
            );
            Problem::new(Code::TargetSilent, detail)
        }
        NoAnswer::Broken(why) => {
            let detail = format!("connection `{name}`: {why}; test the connection, or look at the service's own log");
            Problem::new(Code::TargetFailed, detail)
        }
    }
}

/// The token, and whether it is one that browsers remember and send by themselves.
fn token(headers: &HeaderMap) -> Option<(Secret, bool)> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((Secret::new(value.trim()), false));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    plain.split_once(':').map(|(_, password)| (Secret::new(password), true))
}

/// Whether a browser's request was made by the person or by a page of this server.
fn asked_here(headers: &HeaderMap) -> Result<()> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = |from: &str| {
        let detail = format!("a page of another origin ({from}) sent this request with a remembered password");
        Problem::new(Code::ForeignOrigin, detail)
    };
    match text(&SITE) {
        Some("same-origin" | "none") => Ok(()),
        Some(site) => Err(foreign(site)),
        None => match (text(&header::ORIGIN), text(&header::HOST)) {
            (Some(origin), host) if origin.split_once("://").map(|(_, authority)| authority) != host => {
                Err(foreign(origin))
            }
            _ => Ok(()),
        },
    }
}

/// Whether a browser is about to show what it asks for.
fn opens_a_page(parts: &Parts) -> bool {
    let is = |name: &HeaderName, word: &str| parts.headers.get(name).is_some_and(|value| value == word);
    parts.method == Method::GET && is(&MODE, "navigate") && is(&DESTINATION, "document")
}

fn query(parts: &Parts) -> String {
    parts.uri.query().map_or_else(String::new, |query| format!("?{query}"))
}

/// A segment of a path without its escapes.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;

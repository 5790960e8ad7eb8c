//! `sallyport login` and `logout`.

use std::io::BufRead;
use std::path::PathBuf;

use sallyport_protocol::Secret;
use serde_json::{Value, json};

use super::Context;
use crate::client::Client;
use crate::config::Config;
use crate::credentials::{Credentials, Login};
use crate::error::{Doing, Error, Exit, Result};
use crate::say;
use crate::trust::{self, Seen};

/// Where to log in and how.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sallyport login https://sallyport.example.com
  sallyport login https://localhost:8443 --setup            with the one-time code that the server's first start prints
  sallyport login https://localhost:8443 --token-stdin < token.txt
Passwords, tokens and the one-time code are asked for or read from standard input, never taken from the command line:
a line each, the code before the password.")]
pub(crate) struct Arguments {
    /// The server's address
    address: Option<String>,
    /// Set the first administrator up with the one-time code that the server printed, and log in
    #[arg(long, conflicts_with = "token_stdin")]
    setup: bool,
    /// The user
    #[arg(long)]
    email: Option<String>,
    /// With --setup: the administrator's name
    #[arg(long, requires = "setup")]
    name: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "token_stdin")]
    password_stdin: bool,
    /// Read an API token from standard input instead of logging in with a password
    #[arg(long)]
    token_stdin: bool,
    /// Trust the certificates in this PEM file besides the system's roots
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Trust the server's own certificate if it has this SHA-256 fingerprint, without asking
    #[arg(long, value_name = "SHA256", conflicts_with = "ca")]
    fingerprint: Option<String>,
}

/// A server's address.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    address: String,
    host: String,
    port: u16,
    secure: bool,
}

pub(super) fn login(arguments: &Arguments, context: &Context) -> Result<()> {
    let mut credentials = Credentials::load(&context.config)?;
    let target = match &arguments.address {
        Some(address) => Target::parse(address)?,
        None => Target::parse(&credentials.address(context.server.as_deref(), &context.config)?)?,
    };
    let ca = trusted(arguments, &target, &credentials, &context.config)?;
    let client = Client::with(&target.address, ca.as_deref(), None)?;
    let token = if arguments.token_stdin {
        Secret::new(read_line("token")?)
    } else if arguments.setup {
        set_up(arguments, &client, &context.config)?
    } else {
        with_password(arguments, &client, &context.config)?
    };
    let known = Client::with(&target.address, ca.as_deref(), Some(token.clone()))?;
    let me = known.get("/api/v1/me")?.body;
    let user = who(&me);
    credentials.servers.insert(target.address.clone(), Login { token, user: user.clone(), ca });
    credentials.current = Some(target.address.clone());
    credentials.save(&context.config)?;
    say::note(&format!("logged in to {} as {user}", target.address));
    Ok(())
}

pub(super) fn logout(context: &Context) -> Result<()> {
    let mut credentials = Credentials::load(&context.config)?;
    let address = credentials.address(context.server.as_deref(), &context.config)?;
    if let Ok(client) = context.client() {
        // The server may be gone or the session over: the login is forgotten here in any case.
        if let Err(error) = client.post("/api/v1/logout", None) {
            say::note(&format!("the server could not be told: {error}"));
        }
    }
    credentials.servers.remove(&address);
    credentials.current = credentials.current.take().filter(|current| *current != address);
    credentials.save(&context.config)?;
    say::note(&format!("logged out of {address}"));
    Ok(())
}

/// The name to greet a person with.
pub(super) fn who(me: &Value) -> String {
    ["email", "user.email", "name", "user.name"]
        .into_iter()
        .map(|path| crate::output::text(me, path))
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| "an API token".into())
}

fn set_up(arguments: &Arguments, client: &Client, config: &Config) -> Result<Secret> {
    let code = if config.interactive {
        prompt_password("One-time code that the server printed: ")?
    } else {
        Secret::new(read_line("one-time code")?)
    };
    let name = ask("Your name", arguments.name.as_deref(), config)?;
    let email = ask("Your e-mail address", arguments.email.as_deref(), config)?;
    let password = password(arguments, config, true)?;
    let body = json!({"token": code.expose(), "name": name, "email": email, "password": password.expose()});
    let answer = client.post("/api/v1/setup", Some(&body))?.body;
    match answer.get("token").and_then(Value::as_str) {
        Some(token) => Ok(Secret::new(token)),
        None => session(client, &email, &password),
    }
}

fn with_password(arguments: &Arguments, client: &Client, config: &Config) -> Result<Secret> {
    let email = ask("E-mail", arguments.email.as_deref(), config)?;
    let password = password(arguments, config, false)?;
    session(client, &email, &password)
}

fn session(client: &Client, email: &str, password: &Secret) -> Result<Secret> {
    let body = json!({"email": email, "password": password.expose()});
    let answer = client.post("/api/v1/login", Some(&body))?.body;
    answer
        .get("token")
        .and_then(Value::as_str)
        .map(Secret::new)
        .ok_or_else(|| Error::failed("the server's answer to the login holds no token"))
}

fn password(arguments: &Arguments, config: &Config, new: bool) -> Result<Secret> {
    if arguments.password_stdin {
        return read_line("password").map(Secret::new);
    }
    if !config.interactive {
        return Err(Error::usage(
            "there is no terminal to ask for the password: use --password-stdin or --token-stdin",
        ));
    }
    let once = prompt_password(if new { "Choose a password: " } else { "Password: " })?;
    if new && prompt_password("Once more: ")? != once {
        return Err(Error::usage("the two passwords differ"));
    }
    Ok(once)
}

/// Asks for a secret without showing what is typed.
pub(super) fn prompt_password(question: &str) -> Result<Secret> {
    rpassword::prompt_password(question).map(Secret::new).doing(|| "reading the password".into())
}

fn ask(question: &str, given: Option<&str>, config: &Config) -> Result<String> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    if !config.interactive {
        let flag = if question.contains("name") { "--name" } else { "--email" };
        return Err(Error::usage(format!("there is no terminal to ask on: give {flag}")));
    }
    say::note(&format!("{question}:"));
    read_line(question)
}

fn read_line(what: &str) -> Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).doing(|| format!("reading the {what} from standard input"))?;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    if line.is_empty() { Err(Error::usage(format!("standard input holds no {what}"))) } else { Ok(line) }
}

/// The CA to trust: from the file, from an earlier login, or as the person decides now.
fn trusted(
    arguments: &Arguments,
    target: &Target,
    credentials: &Credentials,
    config: &Config,
) -> Result<Option<String>> {
    if !target.secure {
        return Ok(None);
    }
    if let Some(path) = arguments.ca.as_ref().or(config.ca.as_ref()) {
        return std::fs::read_to_string(path).doing(|| format!("reading {}", path.display())).map(Some);
    }
    let earlier = credentials.servers.get(&target.address).and_then(|login| login.ca.clone());
    let presented = match trust::look(&target.host, target.port, trust::roots(earlier.as_deref())?)? {
        Seen::Trusted => return Ok(earlier),
        Seen::Unknown(presented) => presented,
    };
    if earlier.is_some() {
        say::note("WARNING: the server's certificate is not the one that was trusted at the last login.");
    }
    let fingerprint = presented.fingerprint();
    if let Some(wanted) = &arguments.fingerprint {
        return if trust::same_fingerprint(wanted, &fingerprint) {
            Ok(Some(presented.pem()))
        } else {
            Err(Error::new(Exit::NotAllowed, format!("the server's certificate has the fingerprint {fingerprint}"))
                .problem("that is not the one given with --fingerprint: another machine may answer in its place"))
        };
    }
    if !config.interactive {
        return Err(Error::new(Exit::NotAllowed, format!("no trusted root vouches for {}", target.address))
            .problem("give the server's ca.pem with --ca, or its fingerprint with --fingerprint")
            .detail(format!("it presents a certificate with the fingerprint {fingerprint}")));
    }
    say::note(&format!("No trusted root vouches for {}. Its certificate has the SHA-256 fingerprint", target.address));
    say::note(&format!("  {fingerprint}"));
    say::note("Compare it with the one that the server printed at its first start. Trust it? (yes/no)");
    match read_line("answer")?.trim() {
        "yes" | "y" => Ok(Some(presented.pem())),
        _ => Err(Error::new(Exit::NotAllowed, "the certificate was not trusted")),
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::usage(format!("`{text}` is no address: write it as https://HOST:PORT"));
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let uri: ureq::http::Uri = with_scheme.split('#').next().unwrap_or_default().parse().map_err(|_| wrong())?;
        if uri.path().trim_end_matches('/') == "/setup" {
            // Whoever lists the processes of this machine sees their arguments.
            let text = "the set-up link is for a browser: its code is a secret and does not belong on a command line";
            return Err(Error::usage(text).problem("`sallyport login ADDRESS --setup` asks for the code"));
        }
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?.to_owned();
        let authority = uri.authority().ok_or_else(wrong)?.as_str().to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let scheme = if secure { "https" } else { "http" };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { address: format!("{scheme}://{authority}"), host, port, secure })
    }
}

#[cfg(test)]
mod tests;

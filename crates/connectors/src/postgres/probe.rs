//! Tries a connection stage by stage: settings, name, policy, port, TLS, login, query.

use sallyport_dataplane::Cancel;
use sallyport_protocol::{ConnectionOrder, ConnectionTest};

use super::settings::Tls;
use super::target::Target;
use super::wire::{Client, Error as WireError, dial, encrypt, login, permitted, resolve};
use crate::reach::Carrier;
use crate::stages::Stages;
use crate::{Error, Site};

pub(super) fn test(order: &ConnectionOrder, site: &Site, cancel: &Cancel) -> ConnectionTest {
    Stages::tried(|stages| run(stages, order, site, cancel))
}

fn run(stages: &mut Stages, order: &ConnectionOrder, site: &Site, cancel: &Cancel) -> Option<()> {
    let target = stages.note("settings", settings(order))?;
    let connection = &target.connection;
    let addresses = resolve(connection).map_err(|why| target.unresolved(&why)).map(|addresses| {
        let listed = addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ");
        (addresses, format!("`{}` is {listed}", connection.host))
    });
    let addresses = stages.note("name", addresses)?;
    let allowed = permitted(connection, &addresses, &site.policy).map_err(|refused| Error::not_allowed(&refused));
    let addresses = stages.note("policy", allowed.map(|left| (left, "the site allows it".to_owned())))?;
    let socket = dial(&addresses, cancel).map_err(|why| target.unreachable(&why)).map(|socket| {
        let seen = socket.peer_addr().map_or_else(|_| connection.port.to_string(), |peer| peer.to_string());
        (socket, format!("{seen} answers"))
    });
    let socket = stages.note("port", socket)?;
    // A stop breaks whichever stage is waiting.
    let breaker = socket.try_clone().ok()?;
    let _guard = cancel.on_cancel(move || {
        let _ = breaker.shutdown(std::net::Shutdown::Both);
    });
    let stream = encrypt(Carrier::Tcp(socket), connection).map_err(|why| target.unencrypted(&why)).map(|stream| {
        let seen = match stream.encryption() {
            Some(seen) => format!("{seen}; {}", checked(connection.tls, connection.ca.is_some())),
            None if connection.tls == Tls::Disable => "not encrypted, as `tls: disable` says".to_owned(),
            None => "not encrypted: the server does not offer TLS".to_owned(),
        };
        (stream, seen)
    });
    let stream = stages.note("tls", stream)?;
    let client = login(stream, connection, &target.password)
        .map_err(|error| error.explain(&target.doing("logging in")))
        .map(|client| {
            let seen = format!(
                "`{}` is logged in to `{}`, PostgreSQL {}",
                connection.user,
                connection.database,
                client.version()
            );
            (client, seen)
        });
    let mut client = stages.note("login", client)?;
    let answer = query(&mut client).map_err(|error| error.explain(&target.doing("running a query")));
    stages.note("query", answer.map(|seen| ((), seen)))?;
    client.close();
    Some(())
}

fn settings(order: &ConnectionOrder) -> Result<(Target, String), Error> {
    let target = Target::new(Some(order))?;
    let connection = &target.connection;
    let seen = format!("`{}` at {}:{} as `{}`", connection.database, connection.host, connection.port, connection.user);
    Ok((target, seen))
}

fn query(client: &mut Client) -> Result<String, WireError> {
    let row = client.one("select pg_catalog.version(), pg_catalog.pg_is_in_recovery()")?;
    let mut values = row.into_iter().map(Option::unwrap_or_default);
    let version = values.next().unwrap_or_default();
    let standby = values.next().as_deref() == Some("t");
    Ok(if standby { format!("{version}; a standby: it can be read, not written") } else { version })
}

fn checked(tls: Tls, ca: bool) -> &'static str {
    match (tls, ca) {
        (Tls::VerifyFull, _) => "certificate and host name are right",
        (_, true) => "the certificate is right, the host name in it was not checked",
        (_, false) => "the certificate was not checked",
    }
}

//! From a stream's order to an open socket: policy, name, policy again with the address, port.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sallyport_dataplane::tunnel;
use sallyport_protocol::{Clock, Timestamp, TunnelOrder, TunnelRefusal, TunnelRefusalCode as Code};
use sallyport_site::policy::{PolicyFile, Refused};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::egress::Egress;

/// How long a name server may take.
const NAME_MAX: Duration = Duration::from_secs(5);

/// How long the target may take to answer, all its addresses together.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A name is asked for once for all the streams that a pool opens at a time. Its addresses pass the policy every time.
const NAME_KEPT: Duration = Duration::from_secs(5);

/// Names that are kept.
const NAMES_MAX: usize = 256;

/// Opens sockets to targets.
pub(super) struct Targets {
    policy: Arc<PolicyFile>,
    egress: Arc<Egress>,
    clock: Clock,
    names: Mutex<HashMap<String, (Timestamp, Vec<IpAddr>)>>,
}

impl Targets {
    pub(super) fn new(policy: Arc<PolicyFile>, egress: Arc<Egress>, clock: Clock) -> Self {
        Self { policy, egress, clock, names: Mutex::default() }
    }

    /// Opens the stream's socket; gives the address that answered.
    pub(super) async fn open(&self, order: &TunnelOrder) -> Result<(TcpStream, SocketAddr), TunnelRefusal> {
        let policy = self.policy.now();
        let may = policy.may_tunnel().and_then(|()| policy.may_use(&order.kind)).and_then(|()| self.egress.may_move());
        let may = may.and_then(|()| if order.run.is_some() { policy.may_go_through() } else { Ok(()) });
        may.map_err(|why| forbidden(order, &why))?;
        let addresses = self.resolve(order).await?;
        let addresses = policy.dialable(&order.host, &addresses).map_err(|why| forbidden(order, &why))?;
        let due = Instant::now() + CONNECT_MAX;
        let mut last = refusal(order, Code::Name, "the host has no address", "check the connection's `host`");
        for address in addresses {
            match timeout_at(due, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => match tunnel::keep_alive(&socket) {
                    Ok(()) => return Ok((socket, address)),
                    Err(error) => last = unreachable(order, address, &error),
                },
                Ok(Err(error)) => last = unreachable(order, address, &error),
                Err(_) => return Err(unreachable(order, address, &io::ErrorKind::TimedOut.into())),
            }
        }
        Err(last)
    }

    async fn resolve(&self, order: &TunnelOrder) -> Result<Vec<SocketAddr>, TunnelRefusal> {
        let host = order.host.trim_start_matches('[').trim_end_matches(']');
        let with_port = |ips: &[IpAddr]| ips.iter().map(|ip| SocketAddr::new(*ip, order.port)).collect();
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, order.port)]);
        }
        let now = self.clock.now();
        let known = |(at, ips): &(Timestamp, Vec<IpAddr>)| (now.since(*at) < NAME_KEPT).then(|| with_port(ips));
        if let Some(addresses) = self.names().get(host).and_then(known) {
            return Ok(addresses);
        }
        let advice = "check the connection's `host` and the name servers of the agent's machine";
        let unknown =
            |why: String| refusal(order, Code::Name, &format!("the host's name does not resolve: {why}"), advice);
        let found = timeout(NAME_MAX, tokio::net::lookup_host((host, order.port))).await;
        let found = found.map_err(|_| unknown(format!("no answer within {} s", NAME_MAX.as_secs())))?;
        let ips: Vec<IpAddr> = found.map_err(|error| unknown(error.to_string()))?.map(|at| at.ip()).collect();
        let addresses = with_port(&ips);
        let mut names = self.names();
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(host.to_owned(), (now, ips));
        Ok(addresses)
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Timestamp, Vec<IpAddr>)>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forbidden(order: &TunnelOrder, why: &Refused) -> TunnelRefusal {
    refusal(order, Code::Policy, &why.to_string(), &why.advice)
}

fn unreachable(order: &TunnelOrder, address: SocketAddr, error: &io::Error) -> TunnelRefusal {
    let (code, why, advice) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (Code::Refused, format!("{address} refuses: nothing listens there"), "check host and port, and the service")
        }
        io::ErrorKind::TimedOut => (
            Code::Timeout,
            format!("{address} did not answer within {} s", CONNECT_MAX.as_secs()),
            "a firewall may drop the packets: check that the agent's machine may reach the port",
        ),
        _ => (Code::Unreachable, format!("{address}: {error}"), "check the network between the agent and the target"),
    };
    refusal(order, code, &why, advice)
}

fn refusal(order: &TunnelOrder, code: Code, why: &str, advice: &str) -> TunnelRefusal {
    let TunnelOrder { connection, host, port, .. } = order;
    TunnelRefusal { code, message: format!("connection `{connection}` ({host}:{port}): {why}; {advice}") }
}

//! Figures for `/metrics`, in the OpenMetrics text format.

use std::fmt;
use std::time::Duration;

use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::live::Live;

/// A request's labels; the route is the pattern and the method one of a few, so that their number is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

/// Counters of the HTTP side and the registry that shows them.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Histogram,
    handshakes_failed: Counter,
    notices_sent: Counter,
    notices_failed: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("sallyport");
        let requests = Family::default();
        let seconds = Histogram::new(exponential_buckets(0.001, 2.0, 14));
        let handshakes_failed = Counter::default();
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        registry.register_with_unit("http_request_duration", "Time to answer", Unit::Seconds, seconds.clone());
        registry.register("tls_handshakes_failed", "TLS handshakes that failed", handshakes_failed.clone());
        let (notices_sent, notices_failed) = (Counter::default(), Counter::default());
        registry.register("notices_sent", "Notices that a channel has taken", notices_sent.clone());
        registry.register("notices_failed", "Tries to send a notice that failed", notices_failed.clone());
        Self { registry, requests, seconds, handshakes_failed, notices_sent, notices_failed }
    }

    /// Counts an answered request.
    pub(crate) fn request(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let labels = Request { method: known(method), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a failed TLS handshake.
    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// Counts a try to send a notice.
    pub(crate) fn notice(&self, sent: bool) {
        if sent {
            self.notices_sent.inc()
        } else {
            self.notices_failed.inc()
        };
    }

    /// The text, with what engine and gateway count themselves.
    pub(crate) fn text(&self, live: &Live) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        let ended = text.trim_end().strip_suffix("# EOF").map(ToOwned::to_owned);
        let mut text = ended.unwrap_or(text);
        let gateway = live.gateway.figures();
        gauge(&mut text, "agents_online", "Agents that are online", gateway.agents)?;
        gauge(&mut text, "wrappers_online", "Wrappers that are online", gateway.wrappers)?;
        counter(&mut text, "logins", "Agents and wrappers let in", gateway.logins_total)?;
        counter(&mut text, "logins_refused", "Agents and wrappers turned away", gateway.refused_total)?;
        let runs = live.engine.figures();
        gauge(&mut text, "runs_open", "Runs that have not ended", runs.open)?;
        gauge(&mut text, "runs_queued", "Runs that wait for their turn", runs.queued)?;
        counter(&mut text, "runs_started", "Runs started", runs.started_total)?;
        counter(&mut text, "runs_ended", "Runs ended", runs.ended_total)?;
        let relay = live.relay.figures();
        gauge(&mut text, "relay_streams_open", "Streams between agents", relay.streams_open)?;
        counter(&mut text, "relay_streams", "Streams between agents since the start", relay.streams_total)?;
        counter(&mut text, "relay_bytes", "Bytes passed between agents", relay.bytes_total)?;
        gauge(&mut text, "data_connections_idle", "Data connections kept ready", relay.idle_connections)?;
        let tunnels = live.tunnels.figures();
        gauge(&mut text, "tunnels_open", "Tunnels that stand", tunnels.tunnels_open)?;
        gauge(&mut text, "tunnel_streams_open", "TCP streams in tunnels", tunnels.streams_open)?;
        counter(&mut text, "tunnel_streams", "TCP streams in tunnels since the start", tunnels.streams_total)?;
        counter(&mut text, "tunnel_streams_refused", "TCP streams that did not come about", tunnels.refused_total)?;
        counter(&mut text, "tunnel_bytes", "Bytes passed in tunnels, both ways", tunnels.bytes_total)?;
        gauge(&mut text, "tunnel_lines_idle", "Agents' tunnel lines kept ready", tunnels.lines_idle)?;
        text.push_str("# EOF\n");
        Ok(text)
    }
}

/// Anybody can invent a method.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

fn gauge(to: &mut impl fmt::Write, name: &str, help: &str, value: u64) -> fmt::Result {
    writeln!(to, "# HELP sallyport_{name} {help}.\n# TYPE sallyport_{name} gauge\nsallyport_{name} {value}")
}

fn counter(to: &mut impl fmt::Write, name: &str, help: &str, value: u64) -> fmt::Result {
    writeln!(to, "# HELP sallyport_{name} {help}.\n# TYPE sallyport_{name} counter\nsallyport_{name}_total {value}")
}

//! Accepts connections, does TLS, and hands requests to the router; one task a connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sallyport_dataplane::Ahead;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::metrics::Metrics;

/// Handshakes at one time for each core: more would only make all of them slow when everyone reconnects at once.
const HANDSHAKES_PER_CORE: usize = 16;

/// A peer that has not finished its handshake by then goes.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// A peer that has not sent its request's head by then goes.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// After an accept that failed (out of descriptors), the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers that go on when the server stops get this long.
const DRAIN_MAX: Duration = Duration::from_secs(4);

/// A listener with everything a connection needs.
pub(crate) struct Listener {
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: CancellationToken,
}

impl Listener {
    /// Goes on until the server stops and what was being answered is answered.
    pub(crate) async fn serve(self, socket: TcpListener) {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let handshakes = Arc::new(Semaphore::new(cores * HANDSHAKES_PER_CORE));
        let tracker = TaskTracker::new();
        let hard_stop = CancellationToken::new();
        let this = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = this.stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, from)) => {
                    let (this, handshakes) = (Arc::clone(&this), Arc::clone(&handshakes));
                    tracker.spawn(hard_stop.clone().run_until_cancelled_owned(this.converse(stream, from, handshakes)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(socket);
        tracker.close();
        if tokio::time::timeout(DRAIN_MAX, tracker.wait()).await.is_err() {
            tracing::info!(connections = tracker.len(), "connections are closed although they were still in use");
            hard_stop.cancel();
            tracker.wait().await;
        }
    }

    async fn converse(self: Arc<Self>, stream: TcpStream, from: SocketAddr, handshakes: Arc<Semaphore>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%from, %error, "a connection ended before it began");
            return;
        }
        let Some(tls) = &self.tls else {
            return self.speak(stream, from, true).await;
        };
        // The turn is for peers that speak: one that says nothing keeps nobody waiting.
        let shake = async {
            stream.peek(&mut [0]).await?;
            let _turn = handshakes.acquire().await.map_err(std::io::Error::other)?;
            tls.accept(Ahead::new(stream)).await
        };
        match tokio::time::timeout(HANDSHAKE_MAX, shake).await {
            Ok(Ok(stream)) => self.speak(stream, from, false).await,
            Ok(Err(error)) => {
                self.metrics.handshake_failed();
                tracing::debug!(%from, %error, "TLS handshake failed");
            }
            Err(_) => {
                self.metrics.handshake_failed();
                tracing::debug!(%from, "TLS handshake took too long");
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        from: SocketAddr,
        proxied: bool,
    ) {
        let router = self.router.clone().map_request(move |mut request: Request<hyper::body::Incoming>| {
            let forwarded = if proxied { forwarded_for(request.headers()) } else { None };
            let from = forwarded.map_or(from, |address| SocketAddr::new(address, 0));
            request.extensions_mut().insert(ConnectInfo(from));
            request.map(Body::new)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%from, %error, "a connection broke off");
        }
    }
}

/// The address that the nearest proxy saw: the last one, because the ones before come from whoever sent them.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

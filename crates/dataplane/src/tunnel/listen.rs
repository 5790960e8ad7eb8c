//! Where streams begin: a listening socket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;

/// A port that an earlier tunnel has just left may take a moment to be free.
const BUSY_MAX: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// Listens, once the address is free; an error of kind `AddrInUse` after 5 s if it is not.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let due = Instant::now() + BUSY_MAX;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < due => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            bound => return bound,
        }
    }
}

//! The `postgres` connector against a real server.
#![cfg(unix)]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail loudly")]

mod connection;
mod flow;
mod read;
mod server;
mod stop;
mod types;
mod write;

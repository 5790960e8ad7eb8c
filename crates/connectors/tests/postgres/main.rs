//! The `postgres` connector against a real server.
#![cfg(unix)]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail loudly")]

mod connection;
mod flow;
mod incremental;
#[path = "../incremental/pipe.rs"]
mod pipe;
mod read;
mod server;
mod stop;
#[path = "../incremental/stories.rs"]
mod stories;
mod types;
mod write;

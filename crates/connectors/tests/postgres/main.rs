//! The `postgres` connector against a real server.
#![cfg(unix)]

mod connection;
mod flow;
mod read;
mod server;
mod stop;
mod types;
mod write;

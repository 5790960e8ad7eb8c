//! The HTTP API as its users see it: a server in this process, reached over a real socket.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod agents;
mod connections;
mod console;
mod described;
mod download;
mod flow;
mod health;
mod limits;
mod lists;
mod logs;
mod notifications;
mod people;
mod releases;
mod retention;
mod server;
mod start;
mod tasks;
mod triggers;

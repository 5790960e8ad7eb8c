//! The HTTP API as its users see it: a server in this process, reached over a real socket.

mod agents;
mod connections;
mod described;
mod download;
mod lists;
mod logs;
mod people;
mod server;
mod start;
mod tasks;

//! The wrapper's program with a stand-in for the agent, and with a server on loopback that speaks its protocol.
//!
//! The stand-in is a shell script, so these tests run on Unix only.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod home;
mod install;
mod life;
mod link;
mod server;

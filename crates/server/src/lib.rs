//! The control plane: HTTP API, agents' and wrappers' sessions, runs, relay.
//!
//! Invariant: rules are asked of `sallyport_domain`, rows are kept by `sallyport_store`; here is what listens, speaks
//! and waits.

mod app;
mod auth;
mod background;
mod config;
mod data_folder;
mod engine;
mod first_start;
mod gateway;
mod http;
mod listener;
mod live;
mod metrics;
mod notify;
mod offline;
mod outbox;
mod relay;
mod release;
mod retention;
#[cfg(test)]
mod rig;
mod schedule;
mod secrets;
mod serve;
mod tls;
mod tunnel;
mod via;
mod world;

pub use config::{Config, Entry, Error as ConfigError, Flags, Tls};
pub use http::openapi;
pub use offline::{LicenceError, set_licence};
pub use serve::{Ready, log_to_stderr, run, run_announced};

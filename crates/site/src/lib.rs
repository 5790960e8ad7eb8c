//! What agent and wrapper share on a machine: settings, folders, logs, dialling out.
//!
//! Invariant: blocking code only. No async runtime, no Arrow, no WebSocket: the wrapper must stay small, and the agent
//! puts its own runtime around these parts. Nothing here decides what an agent does; it only reads the site and
//! opens the way to the server. Only [`config`] reads the environment.

pub mod address;
pub mod backoff;
pub mod config;
pub mod crash;
pub mod dial;
pub mod durable;
pub mod http_date;
pub mod identity;
pub mod keys;
pub mod launchers;
pub mod layout;
pub mod ledger;
pub mod lines;
pub mod lock;
pub mod log;
pub mod login;
pub mod machine;
pub mod memory;
pub mod network;
mod platform;
pub mod policy;
pub mod presence;
pub mod pulse;
pub mod random;
pub mod redact;
pub mod settings;
pub mod tls;

pub use address::ServerAddress;
pub use layout::Layout;
pub use settings::Settings;

//! Real processes in temporary folders: servers, wrapped agents from their downloaded zips, databases, proxies.
//!
//! The whole-system tests, `./x demo` and `./x bench` stand on it. Invariant: knows the product only from outside, as a
//! person does: its programs, its HTTP API, its files. Every wait has a deadline, everything that was started is stopped
//! and removed when its value is dropped.

mod agent;
mod api;
mod binaries;
mod cli;
mod disk;
mod dist;
mod folder;
mod interrupt;
mod line;
mod machine;
mod mariadb;
mod postgres;
mod process;
mod proxy;
mod publisher;
mod receivers;
pub mod rows;
mod server;
mod service;
mod sshd;
mod system;
mod target;
pub mod tpch;
mod tunnel;
mod wait;
pub mod wine;

pub use agent::Installed;
pub use api::{Api, Reply};
pub use binaries::{Profile, binary, python, root, windows_binary};
pub use cli::Cli;
pub use disk::SmallDisk;
pub use dist::dist;
pub use folder::Folder;
pub use interrupt::Interrupt;
pub use line::{Flow, Line};
pub use machine::Machine;
pub use mariadb::MariaDb;
pub use postgres::{Postgres, have_postgres};
pub use process::{Process, Usage, descriptors_of, free_port, processes_below, said, signal_to, usage_of};
pub use proxy::{Squid, have_squid};
pub use publisher::{Mischief, Publisher};
pub use receivers::{Call, Hook, MailServer};
pub use rustix::process::Signal;
pub use server::{Options, Server};
pub use service::Service;
pub use sshd::Sshd;
pub use system::System;
pub use target::Target;
pub use tunnel::{Tunnel, connect};
pub use wait::{until, within};
pub use wine::Wine;

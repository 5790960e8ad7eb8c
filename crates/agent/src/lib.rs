//! The agent: dials out, takes work orders, runs their steps next to the data, and delivers the outcomes.
//!
//! [`execute`] and [`control`] know no socket: the server runs the same code as its own agent, and the command line runs
//! whole tasks with it. [`link`] and [`program`] are the shell around them that becomes `sallyport-agent`.

pub mod control;
mod egress;
pub mod execute;
mod journal;
pub mod link;
pub mod program;
mod seal;
pub mod tunnel;

pub use control::{Agent, Behaviour, Identity, Link, ServerEnd, SessionEnd, Shipping};
pub use egress::{Egress, Meter};
pub use execute::{
    BoxFuture, Execution, NoRelay, OpenData, OpenError, Remedy, RunLog, Surroundings, clear_scratch, execute,
};
pub use journal::Journal;
pub use seal::Seal;

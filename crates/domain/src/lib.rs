//! The platform's decisions: what a valid task is, where its steps run, how a run goes from state to state, who may be
//! online, who may be deactivated.
//!
//! Invariant: no tokio, no SQL, no clock, no I/O. Events and the time come in; new state and effects go out. Whoever
//! calls stores both in one transaction and performs the effects afterwards; effects may be performed twice.

pub mod agent;
pub mod connection;
pub mod licence;
pub mod liveness;
pub mod notice;
pub mod plan;
pub mod queue;
pub mod retention;
pub mod rollout;
pub mod run;
pub mod schedule;
pub mod task;
pub mod template;
pub mod trigger;
pub mod variable;

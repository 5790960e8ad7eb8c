//! HTTP through an agent: a person's request goes to the service of an `http` connection, and its answer back, as streams.
//!
//! Invariant: what a service says cannot act as the console. Its pages get an origin of their own (a sandbox), its cookies
//! stay below the connection's address and never have the console's name, headers that speak for the whole origin are
//! dropped; neither the person's credentials nor the console's cookie reach it. No body is held: one buffer a direction.

mod answer;
mod ask;
mod body;
mod exchange;
mod place;
#[cfg(test)]
mod tests;
mod ticket;
mod upload;

pub(crate) use ask::{Asked, NotAsked};
pub(crate) use exchange::{Exchange, NoAnswer, run};
pub(crate) use place::Place;
pub(crate) use ticket::{Ticket, Tickets};

//! Decisions: run and step state machine, tasks, licence, placement.

//! Dials out and runs steps.

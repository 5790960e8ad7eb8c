//! Control plane, HTTP API, relay.

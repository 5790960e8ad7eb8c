//! The server's SQL.

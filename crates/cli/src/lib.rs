//! The server's command and the operator's.

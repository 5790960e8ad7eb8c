//! Who is asking: people by password and token. Agents' logins are the gateway's.

pub(crate) mod pace;
pub(crate) mod password;
pub(crate) mod throttle;

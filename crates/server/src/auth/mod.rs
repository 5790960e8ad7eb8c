//! Who is asking: people by password and token, agents by their credentials.

pub(crate) mod agent;
pub(crate) mod password;
pub(crate) mod throttle;

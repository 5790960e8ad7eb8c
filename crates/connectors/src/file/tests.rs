mod bad;
pub(crate) mod kit;
mod layouts;
mod manifest;
pub(crate) mod round_trip;
mod whole;

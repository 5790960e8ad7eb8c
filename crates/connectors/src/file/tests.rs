mod bad;
pub(crate) mod kit;
mod layouts;
pub(crate) mod round_trip;
mod whole;

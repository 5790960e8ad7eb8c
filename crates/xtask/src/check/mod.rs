//! Checks that no other tool makes: which crate may know what, and what must not stand in a public repository.

mod content;
mod layers;

pub(crate) use content::check as content;
pub(crate) use layers::check as layers;

//! Why work ends early: the first reason counts, later ones are its consequences.

use std::sync::{Arc, OnceLock};

/// A reason that is set once and read by all who end because of it.
#[derive(Clone, Debug, Default)]
pub struct Cause(Arc<OnceLock<String>>);

impl Cause {
    /// Sets the reason unless there is one; says whether it was set.
    pub fn set(&self, why: impl Into<String>) -> bool {
        self.0.set(why.into()).is_ok()
    }

    /// The reason, if there is one.
    pub fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

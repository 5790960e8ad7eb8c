//! The environment, read once. Nothing else in agent or wrapper reads it.

use std::env;

/// What the environment says that matters here; empty variables count as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `HTTPS_PROXY` or `https_proxy`, else `HTTP_PROXY` or `http_proxy`. May hold a password: never print it.
    pub proxy: Option<ProxyVariable>,
    /// `NO_PROXY` or `no_proxy`.
    pub no_proxy: Option<String>,
    /// Whether `NO_COLOR` is set.
    pub no_colour: bool,
    /// The user's name as the login set it (`USER`, `USERNAME`); a fallback only.
    pub user: Option<String>,
    /// Whether there is a desktop that could show a browser (`DISPLAY`, `WAYLAND_DISPLAY`); Linux only.
    pub desktop: bool,
    /// `COMPUTERNAME` (Windows).
    pub computer: Option<String>,
}

/// A proxy's address from the environment, with the variable it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyVariable {
    /// The variable's name, for messages.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

impl std::fmt::Debug for ProxyVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=***", self.name)
    }
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        let proxy = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
            .into_iter()
            .find_map(|name| variable(name).map(|text| ProxyVariable { name, text }));
        Self {
            proxy,
            no_proxy: variable("NO_PROXY").or_else(|| variable("no_proxy")),
            no_colour: variable("NO_COLOR").is_some(),
            user: variable("USER").or_else(|| variable("USERNAME")),
            desktop: variable("DISPLAY").or_else(|| variable("WAYLAND_DISPLAY")).is_some(),
            computer: variable("COMPUTERNAME"),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.trim().is_empty())
}

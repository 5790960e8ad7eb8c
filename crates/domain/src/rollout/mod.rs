//! Which release of agent or wrapper is to run somewhere, and why: pins, minimum versions, rings, maintenance windows.

#[cfg(test)]
mod tests;
mod window;

use sallyport_protocol::{AgentId, Timestamp};
use serde::{Deserialize, Serialize};

pub use window::{Window, WindowError};

/// How long the server must have seen a new version work when nobody says otherwise.
pub const CONFIRM_SECONDS_DEFAULT: u32 = 60;
/// How long an agent's runs are waited for when nobody says otherwise.
pub const DRAIN_SECONDS_DEFAULT: u32 = 3600;
/// The longest time for either.
pub const SECONDS_MAX: u32 = 7 * 24 * 3600;
/// The most maintenance windows.
pub const WINDOWS_MAX: usize = 50;

/// What is released and updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// The agent.
    Agent,
    /// The wrapper around it.
    Wrapper,
}

impl Product {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Agent, Self::Wrapper];
}

/// What is set for an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// How many of a hundred agents get the newest release, by a hash of their ids: the same ones first each time.
    pub percent: u8,
    /// When agents may be updated; any time without one.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Of the agent; what is set for single agents too.
    #[serde(default)]
    pub versions: Versions,
    /// Of the wrapper.
    #[serde(default)]
    pub wrapper: Versions,
    /// How long the server must have seen a new version work.
    pub confirm_seconds: u32,
    /// How long an agent's runs are waited for.
    pub drain_seconds: u32,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            percent: 100,
            windows: Vec::new(),
            versions: Versions::default(),
            wrapper: Versions::default(),
            confirm_seconds: CONFIRM_SECONDS_DEFAULT,
            drain_seconds: DRAIN_SECONDS_DEFAULT,
        }
    }
}

impl Rollout {
    /// For an agent that somebody wants updated now: neither percentage nor windows hold it back.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self { percent: 100, windows: Vec::new(), ..self }
    }
}

/// Which versions; what is set for an agent goes before what is set for its environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This version and no other.
    #[serde(default)]
    pub pin: Option<String>,
    /// An older one is replaced at once, whatever ring and window say.
    #[serde(default)]
    pub minimum: Option<String>,
}

impl Versions {
    /// These, where they say something; else those of the environment.
    #[must_use]
    pub fn or(self, environment: &Self) -> Self {
        Self {
            pin: self.pin.or_else(|| environment.pin.clone()),
            minimum: self.minimum.or_else(|| environment.minimum.clone()),
        }
    }
}

/// A release for the agent's platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Of its archive.
    pub sha256: String,
    /// Its version.
    pub version: String,
    /// The largest is the newest.
    pub sequence: u64,
}

/// What an agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The archive its version came in; absent while it runs what was downloaded with it.
    pub sha256: Option<String>,
    /// Its version, as far as it is known.
    pub version: Option<String>,
    /// Whether that is below the minimum.
    pub below_minimum: bool,
}

/// What to do about an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is to run this release.
    Offer {
        /// The release's archive.
        sha256: String,
        /// Why: one sentence.
        reason: String,
    },
    /// It is to go on with what it has.
    Nothing {
        /// Why: one sentence.
        reason: String,
    },
}

/// Decides. `rollout` holds what is set for the environment, with the agent's own versions in place of its.
pub fn decide(agent: AgentId, running: &Running, rollout: &Rollout, releases: &[Release], now: Timestamp) -> Decision {
    let nothing = |reason: String| Decision::Nothing { reason };
    let pin = rollout.versions.pin.as_deref();
    let fits = |release: &&Release| pin.is_none_or(|pin| release.version == pin);
    let Some(release) = releases.iter().filter(fits).max_by_key(|release| release.sequence) else {
        return nothing(match pin {
            Some(pin) => format!("pinned to {pin}, of which there is no release for this platform"),
            None => "there is no release for this platform".to_owned(),
        });
    };
    let offer = |reason: String| Decision::Offer { sha256: release.sha256.clone(), reason };
    let version = &release.version;
    if running.sha256.as_ref() == Some(&release.sha256) {
        return offer(format!("{version} is active"));
    }
    if running.sha256.is_none() && running.version.as_ref() == Some(version) {
        return nothing(format!("{version} is active, as it was downloaded"));
    }
    if running.below_minimum {
        let minimum = rollout.versions.minimum.as_deref().unwrap_or_default();
        return offer(format!("{version} replaces what is below the minimum {minimum}"));
    }
    let ring = ring(agent);
    if pin.is_none() && ring >= rollout.percent {
        return nothing(format!(
            "{version} is rolled out to {} % of the agents, and this one comes at {} %",
            rollout.percent,
            ring + 1
        ));
    }
    if !rollout.windows.is_empty() && !rollout.windows.iter().any(|window| window.is_open(now)) {
        let all: Vec<String> = rollout.windows.iter().map(ToString::to_string).collect();
        return nothing(format!("{version} waits for a maintenance window: {}", all.join("; ")));
    }
    offer(match pin {
        Some(pin) => format!("pinned to {pin}"),
        None => format!("{version} is the newest release"),
    })
}

/// An agent's place among a hundred, from 0, spread evenly and always the same.
pub fn ring(agent: AgentId) -> u8 {
    // Ids of one day begin alike: splitmix64 spreads them.
    let mut mixed = agent.uuid().as_u128();
    let mut word = 0u64;
    for _ in 0..2 {
        word = (word ^ (mixed as u64)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        mixed >>= 64;
    }
    (word % 100) as u8
}

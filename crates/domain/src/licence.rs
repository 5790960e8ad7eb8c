//! How many remote agents of a company may be online at once.

use std::fmt;
use std::str::FromStr;

use sallyport_protocol::{Refusal, RefusalCode};
use serde::{Deserialize, Serialize};

/// What a company has bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// One remote agent.
    #[default]
    Trial,
    /// Three remote agents.
    Standard,
    /// Any number.
    Premium,
    /// Any number.
    Enterprise,
}

impl Tier {
    /// All tiers, the smallest first.
    pub const ALL: [Self; 4] = [Self::Trial, Self::Standard, Self::Premium, Self::Enterprise];

    /// The most remote agents online in parallel; `None` is unlimited.
    pub const fn agents_max(self) -> Option<u32> {
        match self {
            Self::Trial => Some(1),
            Self::Standard => Some(3),
            Self::Premium | Self::Enterprise => None,
        }
    }

    /// The word in commands, the API and the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Standard => "standard",
            Self::Premium => "premium",
            Self::Enterprise => "enterprise",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The text names no tier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of trial, standard, premium, enterprise")]
pub struct ParseTierError;

impl FromStr for Tier {
    type Err = ParseTierError;

    fn from_str(text: &str) -> Result<Self, ParseTierError> {
        Self::ALL.into_iter().find(|tier| tier.word().eq_ignore_ascii_case(text)).ok_or(ParseTierError)
    }
}

/// Whether one more remote agent may come online beside `others` of the same company.
pub fn admit(others: u32, agents_max: Option<u32>) -> Result<(), Refusal> {
    match agents_max {
        Some(max) if others >= max => Err(full(max)),
        _ => Ok(()),
    }
}

/// The refusal as server, agent and console show it.
pub fn full(max: u32) -> Refusal {
    Refusal {
        code: RefusalCode::LicenceFull,
        message: format!("Max parallel agents {max} reached."),
        retry_after_seconds: Some(30),
    }
}

//! Keys of other agents, as this site has first seen them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sallyport_protocol::{AgentId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::durable::{self, Readers};

/// A key that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The agent's name at that time.
    pub name: String,
    /// The key's fingerprint.
    pub fingerprint: String,
    /// When.
    pub since: Timestamp,
}

/// How a key stands to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It was seen for the first time and is kept.
    First,
    /// It is the one that is known.
    Again,
}

/// A key that is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The agent had another one.
    #[error(
        "the key of agent `{name}` has changed: this site knows {known}, it shows {shown}; if the agent was installed anew, \
         run `sallyport-wrapper keys forget {agent}` in this agent's folder, otherwise somebody may be in between"
    )]
    Changed {
        /// Which.
        agent: AgentId,
        /// Its name.
        name: String,
        /// The fingerprint that is known.
        known: String,
        /// The one that it shows.
        shown: String,
    },
    /// The file cannot be read or written.
    #[error("keys of other agents: {path}: {source}")]
    File {
        /// Where it is.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// The file of keys; read at each use, so that what somebody forgets is forgotten at once.
#[derive(Debug)]
pub struct Peers {
    path: PathBuf,
    turn: Mutex<()>,
}

impl Peers {
    /// The keys in this file; none where it is not there.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), turn: Mutex::default() }
    }

    /// Whether a key is to be believed; the first of an agent is kept.
    pub fn meet(&self, agent: AgentId, name: &str, fingerprint: &str, now: Timestamp) -> Result<Met, Unfit> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.known()?;
        match known.get(&agent) {
            Some(before) if before.fingerprint == fingerprint => Ok(Met::Again),
            Some(before) => Err(Unfit::Changed {
                agent,
                name: name.to_owned(),
                known: before.fingerprint.clone(),
                shown: fingerprint.to_owned(),
            }),
            None => {
                let first = Known { name: name.to_owned(), fingerprint: fingerprint.to_owned(), since: now };
                known.insert(agent, first);
                self.write(&known)?;
                Ok(Met::First)
            }
        }
    }

    /// All of them.
    pub fn known(&self) -> Result<BTreeMap<AgentId, Known>, Unfit> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| self.named(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(self.named(error)),
        }
    }

    /// Forgets the keys of an agent, by its id or its name; says how many there were.
    pub fn forget(&self, agent: &str) -> Result<usize, Unfit> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.known()?;
        let before = known.len();
        known.retain(|id, key| id.to_string() != agent && key.name != agent);
        if known.len() < before {
            self.write(&known)?;
        }
        Ok(before - known.len())
    }

    fn write(&self, known: &BTreeMap<AgentId, Known>) -> Result<(), Unfit> {
        let text = serde_json::to_vec_pretty(known).map_err(|error| self.named(error.into()))?;
        durable::replace(&self.path, &text, Readers::Owner).map_err(|error| self.named(error))
    }

    fn named(&self, source: io::Error) -> Unfit {
        Unfit::File { path: self.path.display().to_string(), source }
    }
}

//! What a step gives its connector besides rows and settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sallyport_dataplane::{Cancel, Progress};
use sallyport_protocol::{Checkpoint, Committed, Incremental, LogLevel};
use sallyport_site::policy::PolicyFile;

use crate::{Error, Reach};

/// Takes a line for the step's log.
pub type LogSink = Arc<dyn Fn(LogLevel, String) + Send + Sync>;

/// The surroundings of one attempt of one step.
#[derive(Clone)]
pub struct Context {
    /// Fires when the attempt must stop.
    pub cancel: Cancel,
    /// Bytes and rejected rows are counted here by the connector, rows in by the input, rows out by the output; a sink
    /// counts the rows it has written as rows out.
    pub progress: Arc<Progress>,
    /// The step's log.
    pub log: LogSink,
    /// An empty folder for this attempt alone; removed by the caller.
    pub scratch: PathBuf,
    /// The machine the step runs on.
    pub site: Arc<Site>,
    /// How the connection's target is reached.
    pub reach: Reach,
    /// Names what the sink commits.
    pub commit: CommitKey,
    /// Given where a step of the pipeline reads incrementally.
    pub checkpointing: Option<Checkpointing>,
    /// For those who find the data.
    pub provenance: Arc<Provenance>,
}

/// Where data comes from, in words to leave beside it: no connector decides anything by them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The task's name.
    pub task: String,
    /// The run's id.
    pub run: String,
    /// The step's name.
    pub step: String,
}

/// The checkpoint of an incremental read: what the platform knows, and what the sink has committed meanwhile.
#[derive(Clone, Debug)]
pub struct Checkpointing {
    /// What the attempt was told.
    pub order: Arc<Incremental>,
    committed: Arc<Mutex<Option<Committed>>>,
}

impl Checkpointing {
    /// Before anything is committed.
    pub fn new(order: Incremental) -> Self {
        Self { order: Arc::new(order), committed: Arc::default() }
    }

    /// Notes a commit: its number in the target, how far it reaches, and the rows it holds.
    pub fn note(&self, sequence: u64, checkpoint: Checkpoint, rows: u64) {
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = committed.as_ref().map_or(0, |before| before.rows);
        let Incremental { epoch, fence, .. } = *self.order;
        *committed = Some(Committed { epoch, fence, sequence, checkpoint, rows: before + rows });
    }

    /// The newest commit of this attempt.
    pub fn committed(&self) -> Option<Committed> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Names one step of one run in the ledger of a target that can keep one, so that a repeated attempt finds what an
/// earlier one has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitKey {
    /// The same for every attempt of the step in the run.
    pub key: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Grows with every attempt.
    pub fence: u64,
}

/// What the site's administrator has set up for steps on this machine.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Where relative file paths start and which they cannot leave, unless a connection names another root.
    pub files_root: PathBuf,
    /// Whether connections may not name another root either: so on the server's own agent, whose user can read what
    /// nobody who writes tasks may see.
    pub confined: bool,
    /// Third-party connectors by name.
    pub programs: BTreeMap<String, Program>,
    /// What may be touched at all.
    pub policy: Arc<PolicyFile>,
}

impl Site {
    /// Whether a path without links may be touched.
    pub(crate) fn may_touch(&self, path: &Path) -> Result<(), Error> {
        let policy = self.policy.now();
        if policy.folders.is_none() {
            return Ok(());
        }
        let own = std::fs::canonicalize(&self.files_root).unwrap_or_else(|_| self.files_root.clone());
        policy.may_touch(path, &own).map_err(|refused| Error::not_allowed(&refused))
    }
}

/// A program that the site's administrator registered as a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The executable.
    pub command: PathBuf,
    /// Its fixed arguments.
    pub arguments: Vec<String>,
}

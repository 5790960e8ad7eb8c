//! The store against real files.

mod admission;
mod checkpoints;
mod console;
mod durability;
mod generation;
mod lists;
mod notices;
mod outbox;
mod releases;
mod retention;
mod runs;
mod triggers;

use std::path::PathBuf;

use sallyport_domain::licence::Tier;
use sallyport_protocol::{AgentId, EnvironmentId, InstallationId, InstanceId, Levels, Presence, Timestamp};

use crate::{Admit, Company, First, NewAgent, NewTask, Store, Task};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) company: Company,
    pub(crate) environment: EnvironmentId,
    pub(crate) file: PathBuf,
    _folder: tempfile::TempDir,
}

pub(crate) async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sallyport.db");
    let store = Store::open(&file).unwrap();
    store.initialise(first()).await.unwrap().unwrap();
    let company = store.all_companies().await.unwrap().remove(0);
    let environment = store.environment(company.id, None).await.unwrap().id;
    Bench { store, company, environment, file, _folder: folder }
}

pub(crate) fn first() -> First {
    First {
        company: "Company".into(),
        environment: "production".into(),
        administrator: "Administrator".into(),
        now: NOW,
    }
}

impl Bench {
    pub(crate) async fn agent(&self, name: &str) -> AgentId {
        let new = NewAgent { name: name.into(), levels: Levels::default(), platform: None, now: NOW };
        self.store.create_agent(self.environment, new).await.unwrap().id
    }

    pub(crate) async fn task(&self, name: &str) -> Task {
        self.store.create_task(self.environment, document(name, "steps: []")).await.unwrap()
    }

    pub(crate) async fn tier(&self, tier: Tier) {
        self.store.set_tier(None, tier).await.unwrap();
    }
}

pub(crate) fn document(name: &str, text: &str) -> NewTask {
    NewTask {
        name: name.into(),
        active: true,
        document: text.into(),
        parsed: serde_json::json!({ "task": name }),
        triggers: Vec::new(),
        author: "somebody".into(),
        now: NOW,
    }
}

pub(crate) fn knock(agent: AgentId) -> Admit {
    Admit {
        agent,
        credential: None,
        replica: "one".into(),
        instance: InstanceId::new(),
        installation: InstallationId::new(),
        address: Some("192.0.2.1".into()),
        presence: Presence { machine_name: "pc".into(), agent_version: Some("0.1.0".into()), ..Presence::default() },
        programs: Vec::new(),
        replace: false,
        now: NOW,
    }
}

//! What the engine knows of environments and tasks without asking the store again: kept until something of it may have
//! changed, by the store's generation.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sallyport_domain::plan::{Plan, plan};
use sallyport_domain::task::{Problem, Task as Document, parse};
use sallyport_protocol::{Descriptor, EnvironmentId, TaskVersionId};
use sallyport_store::{Error, Store, Task, TaskVersion};
use serde_json::{Map, Value};

use crate::world::{Surroundings, surroundings};

/// Tasks and versions kept for one environment; beyond it they are read anew.
const KEPT_MAX: usize = 1024;

/// A version of a task in its environment.
pub(crate) struct Resolved {
    /// What it says, or what is wrong with it.
    pub(super) document: Result<Document, Vec<Problem>>,
    /// What it does, or everything that is wrong with it.
    pub(super) plan: Result<Plan, Vec<Problem>>,
    /// The environment's variables.
    pub(super) variables: Map<String, Value>,
}

/// An environment as it was at a generation.
pub(crate) struct Known {
    generation: u64,
    pub(super) surroundings: Surroundings,
    /// By what they were asked for: id or name.
    tasks: Mutex<HashMap<String, Arc<Task>>>,
    resolved: Mutex<HashMap<TaskVersionId, Arc<Resolved>>>,
}

/// Everything that is kept.
pub(crate) struct Knowledge {
    store: Store,
    catalog: Arc<Vec<Descriptor>>,
    environments: Mutex<HashMap<EnvironmentId, Arc<Known>>>,
}

impl Knowledge {
    pub(crate) fn new(store: Store, catalog: Arc<Vec<Descriptor>>) -> Self {
        Self { store, catalog, environments: Mutex::default() }
    }

    /// An environment as it is now.
    pub(super) async fn of(&self, environment: EnvironmentId) -> Result<Arc<Known>, Error> {
        // Asked before anything is read: what changes meanwhile makes it old at once.
        let generation = self.store.generation();
        if let Some(known) = lock(&self.environments).get(&environment)
            && known.generation == generation
        {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(Known {
            generation,
            surroundings: surroundings(&self.store, &self.catalog, environment).await?,
            tasks: Mutex::default(),
            resolved: Mutex::default(),
        });
        keep(&self.environments, environment, &known);
        Ok(known)
    }

    /// A task with its current version, by id or name.
    pub(super) async fn task(&self, environment: EnvironmentId, id_or_name: &str) -> Result<Arc<Task>, Error> {
        let known = self.of(environment).await?;
        if let Some(task) = lock(&known.tasks).get(id_or_name) {
            return Ok(Arc::clone(task));
        }
        let task = Arc::new(self.store.task(environment, id_or_name).await?);
        keep(&known.tasks, id_or_name.to_owned(), &task);
        Ok(task)
    }

    /// A version of a task in its environment as it is now.
    pub(super) async fn resolved(
        &self,
        environment: EnvironmentId,
        version: TaskVersionId,
    ) -> Result<Arc<Resolved>, Error> {
        let known = self.of(environment).await?;
        if let Some(resolved) = lock(&known.resolved).get(&version) {
            return Ok(Arc::clone(resolved));
        }
        let stored = self.store.task_version(version).await?;
        let world = &known.surroundings.world;
        let document = understood(&stored);
        let plan = document.as_ref().map_err(Clone::clone).and_then(|document| plan(document, world));
        let resolved = Arc::new(Resolved { document, plan, variables: world.variables.clone() });
        keep(&known.resolved, version, &resolved);
        Ok(resolved)
    }
}

/// The document of a stored version.
pub(super) fn understood(version: &TaskVersion) -> Result<Document, Vec<Problem>> {
    serde_json::from_value(version.parsed.clone()).or_else(|_| parse(&version.document))
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<K: Eq + Hash, V>(kept: &Mutex<HashMap<K, Arc<V>>>, key: K, value: &Arc<V>) {
    let mut kept = lock(kept);
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
    kept.insert(key, Arc::clone(value));
}

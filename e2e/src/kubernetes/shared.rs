//! One cluster of each level for all tests of a program, because a start takes longer than a test.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use shutdown_hooks::add_shutdown_hook;

use super::cluster::{Cluster, Level};

/// Those that run, by their level.
static RUNNING: [Mutex<Option<Arc<Cluster>>>; 3] = [const { Mutex::new(None) }; 3];

impl Cluster {
    /// The cluster of all tests of this program that need this level. The first one starts it; it
    /// ends with the program.
    ///
    /// # Errors
    /// A prerequisite is missing, or a part does not start.
    pub fn shared(level: Level) -> Result<Arc<Self>> {
        let running = RUNNING[level as usize].lock();
        let mut running = running.unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = &*running {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(Self::start(level, 0)?);
        // The test runner says to nobody that the last test is over.
        ensure!(add_shutdown_hook(end), "nobody would end the cluster");
        *running = Some(Arc::clone(&cluster));
        Ok(cluster)
    }
}

/// Ends what runs. Nobody else holds a cluster when the program ends.
extern "C" fn end() {
    for running in &RUNNING {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = None;
    }
}

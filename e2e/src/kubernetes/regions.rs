//! Two regions: two clusters with a border between them, where the images that the charts ask for by default are those of
//! this source tree.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow, ensure};
use shutdown_hooks::add_shutdown_hook;

use super::border::Border;
use super::cluster::{Cluster, Level};
use super::images::{BROKER_IMAGE, OPERATOR_IMAGE};

/// The two clusters' numbers: others are joined to the shared cluster, which has none of these.
const NUMBERS: [u8; 2] = [2, 3];

/// What the charts ask for by default.
const NAMES: [(&str, &str); 2] = [
    (BROKER_IMAGE, "docker.io/causeway/causeway-broker:0.1.0"),
    (OPERATOR_IMAGE, "docker.io/causeway/causeway:0.1.0"),
];

static RUNNING: Mutex<Option<Arc<Regions>>> = Mutex::new(None);

/// One of two regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// That of the sites ie and uk.
    Here,
    /// That of the site us.
    There,
}

/// Two clusters that reach each other's load balancers.
pub struct Regions {
    // Before the clusters: it is between them.
    _border: Border,
    clusters: [Cluster; 2],
}

impl Regions {
    /// The regions of all tests of this program. The first one starts them; they end with the program.
    ///
    /// # Errors
    /// A prerequisite is missing, or a part does not start.
    pub fn shared() -> Result<Arc<Self>> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regions) = &*running {
            return Ok(Arc::clone(regions));
        }
        let regions = Arc::new(Self::start()?);
        ensure!(add_shutdown_hook(end), "nobody would end the regions");
        *running = Some(Arc::clone(&regions));
        Ok(regions)
    }

    fn start() -> Result<Self> {
        let [here, there] = NUMBERS.map(|number| move || cluster(number));
        let (here, there) = std::thread::scope(|scope| {
            let there = scope.spawn(there);
            (here(), there.join())
        });
        let clusters = [here?, there.map_err(|_| anyhow!("a start panicked"))??];
        let [here, there] = &clusters;
        Ok(Self {
            _border: here.join(there)?,
            clusters,
        })
    }

    /// The cluster of a region.
    #[must_use]
    pub const fn cluster(&self, region: Region) -> &Cluster {
        let [here, there] = &self.clusters;
        match region {
            Region::Here => here,
            Region::There => there,
        }
    }

    /// Both regions with their clusters.
    #[must_use]
    pub fn both(&self) -> [(Region, &Cluster); 2] {
        [Region::Here, Region::There].map(|region| (region, self.cluster(region)))
    }
}

fn cluster(number: u8) -> Result<Cluster> {
    let cluster = Cluster::start(Level::FullNode, number)?;
    cluster.import_images()?;
    for (image, name) in NAMES {
        cluster.name_image(image, name)?;
    }
    cluster.provide_load_balancers(1..=99)?;
    Ok(cluster)
}

extern "C" fn end() {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    *running = None;
}

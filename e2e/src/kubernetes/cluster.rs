//! A cluster under test, from its start to its end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::address::Addresses;
use super::balancers::Balancers;
use super::border::Border;
use super::daemon::Daemon;
use super::identities::Identities;
use super::names::Names;
use super::namespace::Namespace;
use super::parts::Parts;
use super::stages::Stages;
use super::{audit, control_plane, images, node, remains};
use crate::process::{Finished, Folder, need, run};
use crate::wait;

/// Ten times the slowest start on two free cores; a minute was seen on busy ones.
const READY: Duration = Duration::from_secs(120);

/// How long one `kubectl` may take.
const KUBECTL: Duration = Duration::from_secs(120);

/// How much of a cluster a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// etcd and API server: nobody writes but the test and what it tests. Needs no root.
    ApiServer,
    /// etcd, API server and controllers: pods stay Pending. Needs no root.
    ControlPlane,
    /// Pods run, Services lead to them. Needs root.
    FullNode,
}

/// A running cluster. Dropped, it is gone without a trace; one that `KUBECONFIG` names stays.
pub struct Cluster {
    daemons: Vec<Daemon>,
    pub(super) balancers: Mutex<Option<Balancers>>,
    pub(super) names: Option<Names>,
    namespace: Option<Namespace>,
    pub(super) addresses: Option<Addresses>,
    has_images: Mutex<bool>,
    parts: Option<Parts>,
    pub(super) kubectl: PathBuf,
    kubeconfig: PathBuf,
    // Held until everything is gone: others clear what nobody holds.
    _lock: Option<File>,
    folder: Folder,
}

impl Cluster {
    /// Starts a cluster and waits until it is ready. Full nodes with different numbers can be joined.
    ///
    /// # Errors
    /// A prerequisite is missing, or a part does not start.
    pub fn start(level: Level, number: u8) -> Result<Self> {
        if let Some(kubeconfig) = std::env::var_os("KUBECONFIG") {
            return Self::existing(PathBuf::from(kubeconfig));
        }
        if level == Level::FullNode {
            node::check_prerequisites()?;
        }
        remains::clear_abandoned();
        let parts = Parts::ready()?;
        let mut stages = Stages::begin();
        let folder = Folder::new()?;
        let lock = File::create(folder.path().join(remains::LOCK))?;
        lock.lock().context("locking a new folder")?;
        let addresses = match level {
            Level::ApiServer | Level::ControlPlane => Addresses::on_loopback()?,
            Level::FullNode => Addresses::in_namespace(number)?,
        };
        let identities = Identities::make(folder.path(), &addresses, node::NAME)?;
        let mut cluster = Self {
            daemons: Vec::new(),
            balancers: Mutex::new(None),
            names: None,
            namespace: None,
            addresses: None,
            has_images: Mutex::new(false),
            kubectl: parts.path("kubectl"),
            parts: Some(parts),
            kubeconfig: PathBuf::from(identities.path("admin.kubeconfig")),
            _lock: Some(lock),
            folder,
        };
        if level == Level::FullNode {
            let name = remains::name(cluster.folder());
            cluster.namespace = Some(Namespace::make(&name, &addresses)?);
            cluster.start_containers(&addresses, &identities)?;
            stages.reached("containerd started");
        }
        cluster.start_api_server(&addresses, &identities, &mut stages)?;
        if level != Level::ApiServer {
            cluster.start_controllers(&addresses, &identities, &mut stages)?;
        }
        if level == Level::FullNode {
            cluster.start_node(&addresses, &identities, &mut stages)?;
        }
        let node = addresses.node;
        cluster.addresses = Some(addresses);
        if level == Level::FullNode {
            let access = cluster.access(None)?;
            let names = cluster.inside(|| Names::serve(node, &access))?;
            cluster.names = Some(names);
        }
        Ok(cluster)
    }

    fn existing(kubeconfig: PathBuf) -> Result<Self> {
        let cluster = Self {
            daemons: Vec::new(),
            balancers: Mutex::new(None),
            names: None,
            namespace: None,
            addresses: None,
            has_images: Mutex::new(true),
            parts: None,
            kubectl: need("kubectl", "apt-get install kubernetes-client")?,
            kubeconfig,
            _lock: None,
            folder: Folder::new()?,
        };
        cluster
            .kubectl(&["get", "--raw", "/readyz"])
            .context("the cluster that KUBECONFIG names is not ready")?;
        Ok(cluster)
    }

    fn start_api_server(
        &mut self,
        addresses: &Addresses,
        identities: &Identities,
        stages: &mut Stages,
    ) -> Result<()> {
        let etcd = control_plane::etcd(self.folder(), addresses);
        self.part("etcd", &etcd)?;
        let mut api_server = control_plane::api_server(addresses, identities);
        api_server.extend(audit::arguments(self.folder())?);
        self.part("kube-apiserver", &api_server)?;
        self.until("the API server", &["get", "--raw", "/readyz"], "ok")?;
        stages.reached("API server ready");
        Ok(())
    }

    fn start_controllers(
        &mut self,
        addresses: &Addresses,
        identities: &Identities,
        stages: &mut Stages,
    ) -> Result<()> {
        self.part(
            "kube-controller-manager",
            &control_plane::controllers(self.folder(), addresses, identities),
        )?;
        let account = ["get", "serviceaccount", "default", "--output=name"];
        self.until("the default service account", &account, "serviceaccount")?;
        stages.reached("default service account");
        Ok(())
    }

    fn start_containers(&mut self, addresses: &Addresses, identities: &Identities) -> Result<()> {
        node::prepare(self.folder(), addresses, identities)?;
        self.daemon("containerd", &mut node::containerd(self.folder())?)
    }

    fn start_node(
        &mut self,
        addresses: &Addresses,
        identities: &Identities,
        stages: &mut Stages,
    ) -> Result<()> {
        self.part(
            "kube-scheduler",
            &control_plane::scheduler(addresses, identities),
        )?;
        self.part("kube-proxy", &node::proxy(self.folder()))?;
        let kubelet = node::kubelet(self.folder(), addresses, identities);
        self.part("kubelet", &kubelet)?;
        if let Some(parts) = &self.parts {
            images::import_pause(self.folder(), parts)?;
        }
        let status = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}";
        let output = format!("--output={status}");
        self.until("the node", &["get", "nodes", &output], "True")?;
        stages.reached("node ready");
        Ok(())
    }

    fn part(&mut self, name: &'static str, arguments: &[String]) -> Result<()> {
        let parts = self.parts.as_ref().context("not a cluster of ours")?;
        self.daemon(name, Command::new(parts.path(name)).args(arguments))
    }

    fn daemon(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        let daemon = Daemon::start(name, command, self.folder.path(), self.namespace.as_ref())?;
        self.daemons.push(daemon);
        Ok(())
    }

    /// Asks until the answer contains a text, as long as everything runs.
    fn until(&mut self, what: &str, arguments: &[&str], expected: &str) -> Result<()> {
        let mut last = String::new();
        let found = wait::until(what, READY, || {
            self.daemons.iter_mut().try_for_each(Daemon::still_runs)?;
            let finished = self.try_kubectl(arguments)?;
            last = finished.output();
            Ok(finished.stdout.contains(expected).then_some(()))
        });
        found.with_context(|| {
            let tails = self.daemons.iter().map(Daemon::tail);
            format!("{last}\n{}", tails.collect::<Vec<_>>().join("\n\n"))
        })
    }

    /// Builds the project's images and brings them onto the node. A cluster of `KUBECONFIG` has to
    /// have them already.
    ///
    /// # Errors
    /// They cannot be built or imported.
    pub fn import_images(&self) -> Result<()> {
        let mut has_images = self
            .has_images
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !*has_images {
            images::import_ours(self.folder())?;
            *has_images = true;
        }
        Ok(())
    }

    /// Gives an image that was imported another name beside its own, such as one that a chart asks for.
    ///
    /// # Errors
    /// The cluster has no node of ours, or not that image.
    pub fn name_image(&self, image: &str, name: &str) -> Result<()> {
        images::name(self.folder(), image, name)
    }

    /// Lays a cable to another cluster with another number.
    ///
    /// # Errors
    /// One of them has no namespace of its own.
    pub fn join(&self, other: &Self) -> Result<Border> {
        Border::make([self.side()?, other.side()?])
    }

    fn side(&self) -> Result<(&Namespace, &Addresses)> {
        let both = self.namespace.as_ref().zip(self.addresses.as_ref());
        both.context("only full nodes of ours can be joined")
    }

    /// The file that clients need.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs `kubectl` and returns what it prints.
    ///
    /// # Errors
    /// It ends with another exit code than 0.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let finished = self.try_kubectl(arguments)?;
        let what = format!("kubectl {}", arguments.join(" "));
        Ok(finished.success(&what)?.stdout)
    }

    /// Runs `kubectl`, whatever comes of it.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new(&self.kubectl);
        command
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .args(arguments);
        self.inside(|| run(&mut command, KUBECTL))
    }

    /// Applies documents server-side, whatever comes of it.
    ///
    /// # Errors
    /// `kubectl` does not end in time.
    pub fn try_apply(&self, documents: &str, arguments: &[&str]) -> Result<Finished> {
        let file = Folder::new()?;
        let path = file.path().join("documents.yaml");
        std::fs::write(&path, documents)?;
        let path = path.display().to_string();
        let mut all = vec!["apply", "--server-side", "--filename", &path];
        all.extend_from_slice(arguments);
        self.try_kubectl(&all)
    }

    /// Applies documents server-side.
    ///
    /// # Errors
    /// One of them is refused.
    pub fn apply(&self, documents: &str, arguments: &[&str]) -> Result<String> {
        let finished = self.try_apply(documents, arguments)?;
        Ok(finished.success("kubectl apply")?.stdout)
    }

    /// Does something where the cluster's own addresses can be reached.
    ///
    /// # Errors
    /// Those of the work.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        match &self.namespace {
            Some(namespace) => namespace.inside(work),
            None => work(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // They would ask an API server that is gone.
        self.names = None;
        let balancers = self.balancers.get_mut();
        *balancers.unwrap_or_else(PoisonError::into_inner) = None;
        if self.parts.is_some() {
            self.daemons.iter_mut().rev().for_each(Daemon::end);
            remains::clear(self.folder());
        }
    }
}

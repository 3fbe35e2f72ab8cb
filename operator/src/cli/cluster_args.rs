//! Which cluster: the arguments that `status`, `plan` and `dump` share, as `kubectl` has them.

use std::path::PathBuf;

use crate::client::cluster::Target;

/// Arguments that name a cluster and a place in it.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ClusterArgs {
    /// The namespace; else that of the kubeconfig's context.
    #[arg(long, short, value_name = "NS", help_heading = "Cluster")]
    pub namespace: Option<String>,
    /// A context of the kubeconfig; else its current one.
    #[arg(long, value_name = "C", help_heading = "Cluster")]
    pub context: Option<String>,
    /// The kubeconfig; else $KUBECONFIG, ~/.kube/config, or the account of the pod.
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
}

impl ClusterArgs {
    /// Whether any is given.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.namespace.is_some() || self.context.is_some() || self.kubeconfig.is_some()
    }

    /// What they name.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: self.namespace.clone(),
        }
    }
}

/// What requests are waited for with: one at a time, on this thread.
///
/// # Errors
/// The machine has no more of what it needs.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

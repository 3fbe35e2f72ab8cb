//! A real Kubernetes for the tests, on this machine: the API server, the controllers, and, where a
//! test runs pods, a whole node with containerd, kubelet and kube-proxy in a network namespace of
//! its own.
//!
//! Nothing is downloaded as a binary: the parts are one Go program (`e2e/kubernetes/`) that is built
//! once into the user's cache folder, and Debian packages. What the environment offers comes first:
//! `KUBECONFIG` names a cluster to use instead, `KUBEBUILDER_ASSETS` a folder with an etcd and a
//! kube-apiserver to start.
//!
//! A cluster that is dropped leaves no process, no namespace, no mount and no file; what a killed
//! test left is cleared when the next one starts.

mod address;
mod border;
mod cluster;
mod control_plane;
mod daemon;
mod identities;
mod images;
mod namespace;
mod node;
mod parts;
mod remains;
mod settings;
mod stages;
mod traces;

pub use border::Border;
pub use cluster::{Cluster, Level};
pub use images::{BROKER_IMAGE, OPERATOR_IMAGE};

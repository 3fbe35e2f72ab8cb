//! A real Kubernetes for the tests, on this machine: the API server, the controllers, and, where a
//! test runs pods, a whole node with containerd, kubelet and kube-proxy in a network namespace of
//! its own.
//!
//! Nothing is downloaded as a binary: the parts are one Go program (`e2e/kubernetes/`) that is built
//! once into the user's cache folder, and Debian packages. What the environment offers comes first:
//! `KUBECONFIG` names a cluster to use instead, `KUBEBUILDER_ASSETS` a folder with an etcd and a
//! kube-apiserver to start.
//!
//! A cluster that has ended leaves no process, no namespace, no mount and no file; what a killed
//! test left is cleared when the next one starts.

mod access;
mod accounts;
mod address;
mod audit;
mod balancers;
mod border;
mod cluster;
mod connections;
mod control_plane;
mod daemon;
mod dns;
mod editor;
mod flows;
mod follower;
mod identities;
mod images;
mod message;
mod names;
mod namespace;
mod node;
mod operator;
mod parts;
mod pods;
pub mod policies;
mod pressure;
pub mod proxy;
mod regions;
mod remains;
mod services;
mod settings;
mod shared;
mod shell;
mod stages;
mod tools;
mod traces;

pub use audit::Asked;
pub use border::Border;
pub use cluster::{Cluster, Level};
pub use connections::Connection;
pub use editor::Editor;
pub use flows::Seen;
pub use images::{BROKER_IMAGE, OPERATOR_IMAGE};
pub use operator::Operator;
pub use regions::{Region, Regions};
pub use tools::{Helm, helm, kubectl, promtool};

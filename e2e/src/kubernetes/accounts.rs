//! Ways into a cluster for others than its administrator.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::access::Access;
use super::cluster::Cluster;

impl Cluster {
    /// A token of a ServiceAccount, good for an hour.
    ///
    /// # Errors
    /// There is no such account.
    pub fn account_token(&self, namespace: &str, account: &str) -> Result<String> {
        let namespace = format!("--namespace={namespace}");
        let arguments = ["create", "token", account, &namespace, "--duration=1h"];
        Ok(self.kubectl(&arguments)?.trim().to_owned())
    }

    /// A file for clients that may do what a ServiceAccount may, and whose own namespace is the
    /// account's. It goes with the cluster.
    ///
    /// # Errors
    /// There is no such account, or the file cannot be written.
    pub fn account_kubeconfig(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let token = self.account_token(namespace, account)?;
        let mut config = self.flat_kubeconfig()?;
        config["users"][0]["user"] = json!({"token": token});
        config["contexts"][0]["context"]["namespace"] = json!(namespace);
        let path = self
            .folder()
            .join(format!("{namespace}.{account}.kubeconfig"));
        std::fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// The administrator's file with another namespace for commands that name none. It goes with the cluster.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn kubeconfig_in(&self, namespace: &str) -> Result<PathBuf> {
        let mut config = self.flat_kubeconfig()?;
        config["contexts"][0]["context"]["namespace"] = json!(namespace);
        let path = self.folder().join(format!("{namespace}.kubeconfig"));
        std::fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// How the harness itself asks the API server: as a token's account, or as administrator.
    pub(super) fn access(&self, token: Option<&str>) -> Result<Access> {
        Access::read(&self.flat_kubeconfig()?, token.map(str::to_owned))
    }

    /// Where servers of the harness can listen for the cluster's clients.
    pub(super) fn local_address(&self) -> IpAddr {
        let addresses = self.addresses.as_ref();
        addresses.map_or(Ipv4Addr::LOCALHOST, |all| all.node).into()
    }

    /// The administrator's kubeconfig without references to files.
    fn flat_kubeconfig(&self) -> Result<Value> {
        let arguments = [
            "config",
            "view",
            "--raw",
            "--flatten",
            "--minify",
            "--output=json",
        ];
        Ok(serde_json::from_str(&self.kubectl(&arguments)?)?)
    }
}

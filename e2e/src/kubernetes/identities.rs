//! Who is who in a cluster: certificates of its own authority, and the files that clients read.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::json;

use super::address::Addresses;
use crate::certificates::{Authority, named};

/// Members may do everything.
const ADMINS: &str = "system:masters";

/// The folder with all of them.
#[derive(Debug)]
pub(super) struct Identities {
    folder: PathBuf,
}

impl Identities {
    /// Makes them for one cluster whose node has this name.
    pub(super) fn make(folder: &Path, addresses: &Addresses, node: &str) -> Result<Self> {
        let identities = Self {
            folder: folder.join("identities"),
        };
        std::fs::create_dir_all(&identities.folder)?;
        let authority = Authority::make("cluster authority")?;
        identities.write("ca.crt", authority.pem())?;
        let front = Authority::make("front proxy authority")?;
        identities.write("front-ca.crt", front.pem())?;
        identities.pair("front-client", &front, client("front-proxy-client", None)?)?;
        identities.pair("api", &authority, api_server(addresses)?)?;
        identities.pair("kubelet", &authority, server(node, &[addresses.node])?)?;
        let accounts = KeyPair::generate()?;
        identities.write("accounts.key", &accounts.serialize_pem())?;
        identities.write("accounts.pub", &accounts.public_key_pem())?;
        let kubelet = format!("system:node:{node}");
        for (file, name, group) in [
            ("admin", "admin", Some(ADMINS)),
            ("scheduler", "system:kube-scheduler", None),
            ("proxy", "system:kube-proxy", None),
            ("node", kubelet.as_str(), Some("system:nodes")),
        ] {
            identities.pair(file, &authority, client(name, group)?)?;
            identities.kubeconfig(file, addresses)?;
        }
        Ok(identities)
    }

    /// A file of the folder.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn pair(&self, name: &str, authority: &Authority, params: CertificateParams) -> Result<()> {
        let (certificate, key) = authority.sign(params)?;
        self.write(&format!("{name}.crt"), &certificate)?;
        self.write(&format!("{name}.key"), &key)
    }

    fn kubeconfig(&self, name: &str, addresses: &Addresses) -> Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://{}:{}", addresses.node, addresses.api()),
                "certificate-authority": self.path("ca.crt"),
            }}],
            "users": [{"name": name, "user": {
                "client-certificate": self.path(&format!("{name}.crt")),
                "client-key": self.path(&format!("{name}.key")),
            }}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        });
        self.write(&format!("{name}.kubeconfig"), &config.to_string())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

fn client(name: &str, group: Option<&str>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named(name);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn server(name: &str, addresses: &[Ipv4Addr]) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name = named(name);
    let addresses = addresses
        .iter()
        .map(|address| SanType::IpAddress((*address).into()));
    params.subject_alt_names.extend(addresses);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn api_server(addresses: &Addresses) -> Result<CertificateParams> {
    let reached_at = [Ipv4Addr::LOCALHOST, addresses.node, addresses.api_service];
    server("kubernetes.default.svc", &reached_at)
}

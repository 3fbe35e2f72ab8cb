//! `causeway join-bundle --network N --site S --ca-cert F --ca-key F`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::failure::UsageError;
use super::input::FileError;
use super::{Exit, out};
use crate::api::network::TRUST_DOMAIN;
use crate::authority::Validity;
use crate::bundle::{self, MAX_DAYS, Request};

/// Arguments of `causeway join-bundle`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway join-bundle --network mcollective --site de --ca-cert ca.crt --ca-key ca.key --dns amq.de.example.com |
    kubeseal --format yaml > mcollective--de-tls.yaml
  causeway join-bundle --network mcollective --site de --ca-cert ca.crt --ca-key ca.key --namespace causeway |
    kubectl apply -f -

The Secret has the name that spec.tls.secretNameTemplate has by default, and tls.crt, tls.key and ca.crt. The key is made
now and is nowhere else: no file is written. Besides --dns the certificate names the Services of the site.")]
pub struct Args {
    /// Name of the network.
    #[arg(long, value_name = "N")]
    pub network: String,
    /// Name of the site.
    #[arg(long, value_name = "S")]
    pub site: String,
    /// Certificate of the authority that signs (PEM); several: the first signs, all are trusted.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: PathBuf,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE")]
    pub ca_key: PathBuf,
    /// Days until the certificate ends.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    pub days: u32,
    /// A host name or an address that the site is dialled by; may be given more than once.
    #[arg(long, value_name = "NAME")]
    pub dns: Vec<String>,
    /// Namespace of the Secret, which then stands in it and in the names of Services.
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// First part of the identity, as spec.tls.trustDomain.
    #[arg(long, value_name = "DOMAIN", default_value = TRUST_DOMAIN)]
    pub trust_domain: String,
}

/// Prints the manifest of the Secret.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let certificate = read(&args.ca_cert)?;
    let key = read(&args.ca_key)?;
    let request = Request {
        network: &args.network,
        site: &args.site,
        trust_domain: &args.trust_domain,
        namespace: args.namespace.as_deref(),
        hosts: &args.dns,
        validity: Validity {
            now: SystemTime::now(),
            days: args.days,
        },
    };
    let made = bundle::make(&request, &certificate, &key);
    let made = made.map_err(|error| UsageError(error.to_string()))?;
    if made.outlives_authority {
        out::complain(
            "warning: the authority ends before the certificate does: give fewer --days, or another authority",
        );
    }
    out::print(bundle::manifest(&made.secret)?)?;
    Ok(Exit::Good)
}

fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(FileError::at(path))
}

//! Keeps the Secrets of the development authority: its own, and one with the certificate of each local site. Each is made
//! once, changed only in the version that was read, and never written where it is somebody else's.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::authority::{self, Data, Duty};
use super::build;
use super::error::Error;
use super::fetch::Fetched;
use crate::api::BrokerNetwork;
use crate::api::network::TlsSource;
use crate::authority::SiteIdentity;
use crate::development::Authority;
use crate::kube_io::apply::{Door, refused};
use crate::labels;
use crate::model::observed::{Applied, ChildKey, ChildKind, Live, Owner, Refusal};
use crate::model::{ValidNetwork, ValidTls};
use crate::names::{self, Part, SiteName};

/// Everything it works with.
pub struct Inputs<'a> {
    /// The door for writes.
    pub door: &'a Door<'a>,
    /// The object, for references to it.
    pub object: &'a BrokerNetwork,
    /// The network; all of its sites are local.
    pub network: &'a ValidNetwork,
    /// What is there.
    pub fetched: &'a Fetched,
    /// Now.
    pub now: Timestamp,
}

/// What became of each Secret.
pub type Issued = BTreeMap<ChildKey, Applied>;

/// Makes and renews what is due; nothing where certificates come from elsewhere.
///
/// # Errors
/// A certificate cannot be made.
pub async fn issue(inputs: &Inputs<'_>) -> Result<Issued, Error> {
    let mut issued = Issued::new();
    let tls = inputs.network.tls.as_ref();
    let Some(tls) = tls.filter(|tls| tls.source == TlsSource::Development) else {
        return Ok(issued);
    };
    let Some(own) = keep_authority(inputs, &mut issued).await? else {
        return Ok(issued);
    };
    let certificate = authority::value(&own, authority::CERTIFICATE);
    let signer = Authority::open(certificate, authority::value(&own, authority::KEY))?;
    let roots = authority::value(&own, authority::ROOTS);
    for site in inputs.network.sites.keys() {
        keep_site(inputs, tls, site, (&signer, roots), &mut issued).await?;
    }
    Ok(issued)
}

/// The authority as it is from now on; nothing where its Secret is not ours or cannot be written.
async fn keep_authority(inputs: &Inputs<'_>, issued: &mut Issued) -> Result<Option<Data>, Error> {
    let network = inputs.network.name.as_str();
    let slot = Slot {
        name: names::development_authority(network),
        labels: labels::of_network(network),
        kind: "Opaque",
    };
    let Some(stored) = slot.stored(inputs, issued) else {
        return Ok(None);
    };
    let make = || Authority::make(network, inputs.now);
    let old = stored.map(|stored| stored.data);
    let wanted = match (authority::duty(old, inputs.now), old) {
        (Duty::Nothing, Some(old)) => {
            slot.note(issued, Applied::Unchanged);
            return Ok(Some(old.clone()));
        }
        (Duty::Announce, Some(old)) => authority::announced(old, make()?),
        (Duty::Switch, Some(old)) => authority::switched(old),
        _ => authority::begun(make()?),
    };
    let applied = slot.write(inputs, stored, &wanted).await?;
    let is_written = !matches!(applied, Applied::Refused(_));
    slot.note(issued, applied);
    Ok(is_written.then_some(wanted))
}

async fn keep_site(
    inputs: &Inputs<'_>,
    tls: &ValidTls,
    site: &SiteName,
    (signer, roots): (&Authority, &[u8]),
    issued: &mut Issued,
) -> Result<(), Error> {
    let network = inputs.network.name.as_str();
    let Some(valid) = inputs.network.sites.get(site) else {
        return Ok(());
    };
    let slot = Slot {
        name: names::site_part(network, site.as_str(), Part::Tls),
        labels: labels::of_site(network, site.as_str()),
        kind: "kubernetes.io/tls",
    };
    let Some(stored) = slot.stored(inputs, issued) else {
        return Ok(());
    };
    let namespace = Some(inputs.door.namespace);
    let identity = SiteIdentity {
        site: site.as_str(),
        uri: &names::site_uri(&tls.trust_domain, network, site.as_str()),
        hosts: authority::hosts(network, namespace, site.as_str(), valid),
    };
    let is_good =
        |stored: &Stored<'_>| authority::is_good(stored.data, signer, roots, &identity, inputs.now);
    if stored.as_ref().is_some_and(is_good) {
        slot.note(issued, Applied::Unchanged);
        return Ok(());
    }
    let wanted = authority::of_site(signer.site(identity, inputs.now)?, roots);
    let applied = slot.write(inputs, stored, &wanted).await?;
    slot.note(issued, applied);
    Ok(())
}

/// A Secret of ours that is there.
#[derive(Clone, Copy)]
struct Stored<'a> {
    live: &'a Live,
    data: &'a Data,
}

/// A Secret that is kept.
struct Slot {
    name: String,
    labels: BTreeMap<String, String>,
    kind: &'static str,
}

impl Slot {
    fn key(&self) -> ChildKey {
        ChildKey {
            kind: ChildKind::Secret,
            name: self.name.clone(),
        }
    }

    fn note(&self, issued: &mut Issued, applied: Applied) {
        match &applied {
            Applied::Unchanged => {}
            Applied::Refused(refusal) => {
                tracing::warn!(secret = %self.name, ?refusal, "not written")
            }
            done => tracing::info!(secret = %self.name, ?done, "written"),
        }
        issued.insert(self.key(), applied);
    }

    /// What is there, if anything; nothing at all where that is not ours, or not known well enough to write.
    fn stored<'a>(&self, inputs: &Inputs<'a>, issued: &mut Issued) -> Option<Option<Stored<'a>>> {
        let live = inputs.fetched.observed.children.get(&self.key());
        let contents = inputs.fetched.contents.get(&self.name);
        let refusal = match (live, contents) {
            (None, None) => return Some(None),
            (Some(live), _) if live.is_deleting || live.owner == Owner::Former => Refusal::Former,
            (Some(live), Some(contents)) if live.owner == Owner::Ours => {
                // The two were read one after the other.
                if live.resource_version == contents.resource_version {
                    let data = &contents.data;
                    return Some(Some(Stored { live, data }));
                }
                Refusal::Failed("it changes at this moment".to_owned())
            }
            (
                Some(Live {
                    owner: Owner::Foreign(owner),
                    ..
                }),
                _,
            ) => Refusal::NotOwned {
                owner: owner.clone(),
            },
            (Some(_), _) => Refusal::Failed("it comes or goes at this moment".to_owned()),
            // Without our label it is nobody's of ours.
            (None, Some(_)) => Refusal::NotOwned { owner: None },
        };
        self.note(issued, Applied::Refused(refusal));
        None
    }

    async fn write(
        &self,
        inputs: &Inputs<'_>,
        stored: Option<Stored<'_>>,
        wanted: &Data,
    ) -> Result<Applied, Error> {
        let key = self.key();
        let (verb, written, done) = match stored {
            None => {
                let written = inputs.door.create(&key, &self.object(inputs, wanted)).await;
                ("create", written, Applied::Created)
            }
            Some(Stored { live, data }) => {
                let patch = json!({"data": patched(data, wanted)});
                let written = inputs.door.amend(&key, live, patch).await;
                ("patch", written, Applied::Changed)
            }
        };
        Ok(match written {
            Ok(()) => done,
            Err(error) => refused(verb, error),
        })
    }

    fn object(&self, inputs: &Inputs<'_>, wanted: &Data) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": inputs.object.namespace(),
                "labels": self.labels,
                "ownerReferences": [build::owner(inputs.object)],
            },
            "type": self.kind,
            "data": patched(&Data::new(), wanted),
        })
    }
}

/// Data in base64; what is there and not wanted is null, which removes it.
fn patched(there: &Data, wanted: &Data) -> BTreeMap<String, Value> {
    let gone = there.keys().map(|key| (key.clone(), Value::Null));
    let new = wanted
        .iter()
        .map(|(key, bytes)| (key.clone(), STANDARD.encode(bytes).into()));
    gone.chain(new).collect()
}

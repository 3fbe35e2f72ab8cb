//! What the brokers themselves say while everything under them is exchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_e2e::client::Client;
use causeway_e2e::document::MCOLLECTIVE;
use causeway_e2e::http;
use causeway_e2e::kubernetes::Region;
use causeway_e2e::metrics::Scrape;
use causeway_e2e::wait;
use serde_json::Value;

use super::super::brokers::PASSWORD;
use super::Place;
use super::declared::{GUEST, NETWORK};

/// Both regions, in the order in which they are given something.
pub const REGIONS: [Region; 2] = [Region::Here, Region::There];
/// Where each site of the README's network runs.
pub const SITES: [(&str, Region); 3] = [
    ("ie", Region::Here),
    ("uk", Region::Here),
    ("us", Region::There),
];
/// A user's change is in force within 2 s; five times that.
pub const CHANGE: Duration = Duration::from_secs(10);

/// A change reaches the brokers of a region within 2 s (median); links are renewed within 5 s for each link of a site, and a
/// renewal that one end refused is tried again within 10 s. Five times that.
const TAKEN: Duration = Duration::from_secs(100);

/// A broker whose pages are read.
pub struct Broker {
    pub site: &'static str,
    pub region: Region,
    admin: SocketAddr,
    token: String,
}

/// What a broker runs: hash of its files, hash of its certificates.
pub type Runs = (Value, Value);

/// Uid and restarts of a pod, by its name.
pub type Pods = BTreeMap<String, (Value, Value)>;

impl Broker {
    pub fn of(place: &Place, site: &'static str, region: Region) -> Result<Self> {
        let name = format!("{NETWORK}--{site}-keys");
        let secret = place.json(region, &["get", "secret", &name])?;
        let token = secret["data"]["adminToken"].as_str().context("no token")?;
        let service = format!("{NETWORK}--{site}-admin");
        let cluster = place.cluster(region);
        let address = cluster.service_address(place.namespace, &service)?;
        Ok(Self {
            site,
            region,
            admin: (address, 8161).into(),
            token: String::from_utf8(STANDARD.decode(token)?)?,
        })
    }

    fn fetch(&self, place: &Place, path: &str) -> Result<String> {
        let get = || http::fetch_from(self.admin, path, Some(&self.token));
        let (status, text) = place.cluster(self.region).inside(get)?;
        ensure!(status == 200, "{path} of {} answers {status}", self.site);
        Ok(text)
    }

    pub fn page(&self, place: &Place) -> Result<Value> {
        Ok(serde_json::from_str(&self.fetch(place, "/status")?)?)
    }

    pub fn runs(&self, place: &Place) -> Result<Runs> {
        let page = self.page(place)?;
        let config = &page["config"];
        Ok((config["applied"].clone(), config["certificates"].clone()))
    }

    /// How often its links came up, and how often they went on over newer connections.
    pub fn counts(&self, place: &Place) -> Result<[f64; 2]> {
        let scrape = Scrape::parse(&self.fetch(place, "/metrics")?)?;
        let sum = |name, labels: &[(&str, &str)]| scrape.sum(name, labels);
        Ok([
            sum("causeway_link_connects_total", &[]),
            sum("causeway_link_renewals_total", &[("result", "done")]),
        ])
    }
}

/// All brokers of a place.
pub struct Brokers<'a> {
    pub place: &'a Place,
    pub all: Vec<Broker>,
}

impl<'a> Brokers<'a> {
    /// Those of the README's sites.
    pub fn of(place: &'a Place) -> Result<Self> {
        let all = SITES.map(|(site, region)| Broker::of(place, site, region));
        let all = all.into_iter().collect::<Result<_>>()?;
        Ok(Self { place, all })
    }

    /// What those of a region run.
    pub fn run(&self, region: Region) -> Result<BTreeMap<&'static str, Runs>> {
        let own = self.all.iter().filter(|broker| broker.region == region);
        own.map(|broker| Ok((broker.site, broker.runs(self.place)?)))
            .collect()
    }

    /// Waits until every broker of a region runs something else than it did.
    pub fn wait_taken(
        &self,
        region: Region,
        before: &BTreeMap<&'static str, Runs>,
    ) -> Result<Duration> {
        let started = Instant::now();
        let taken = wait::until("every broker to take a change", TAKEN, || {
            let now = self.run(region)?;
            let is_other = |(site, runs)| now.get(site) != Some(runs);
            Ok(before.iter().all(is_other).then_some(()))
        });
        taken.with_context(|| self.place.explain())?;
        Ok(started.elapsed())
    }

    /// Every end of every link that is up.
    fn ends(&self) -> Result<Vec<Value>> {
        let mut ends = Vec::new();
        for broker in &self.all {
            let page = broker.page(self.place)?;
            let links = page["links"].as_array().context("no links")?;
            ends.extend(links.iter().cloned());
        }
        Ok(ends)
    }

    /// Waits until every end of every link is up and as it should be.
    pub fn wait_links(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Duration> {
        let started = Instant::now();
        let mut last = Vec::new();
        let found = wait::until(what, TAKEN, || {
            last = self.ends()?;
            let holds = |end: &Value| end["state"] == "up" && is_so(end);
            Ok(last.iter().all(holds).then_some(()))
        });
        found.with_context(|| format!("{last:#?}\n{}", self.place.explain()))?;
        Ok(started.elapsed())
    }

    /// The roots that the links' certificates lead to.
    pub fn roots(&self) -> Result<BTreeSet<String>> {
        let ends = self.ends()?;
        let roots = ends.iter().map(|end| end["root"].to_string());
        Ok(roots.collect())
    }

    /// Connects and renewals of each.
    pub fn counts(&self) -> Result<Vec<[f64; 2]>> {
        let counts = self.all.iter().map(|broker| broker.counts(self.place));
        counts.collect()
    }

    /// Waits until every link of every broker has gone on over a newer connection.
    pub fn wait_renewed(&self, before: &[[f64; 2]]) -> Result<Duration> {
        let started = Instant::now();
        let found = wait::until("every link to be renewed", TAKEN, || {
            let now = self.counts()?;
            let is_renewed = |(now, before): (&[f64; 2], &[f64; 2])| now[1] >= before[1] + 2.0;
            Ok(now.iter().zip(before).all(is_renewed).then_some(()))
        });
        found.with_context(|| self.place.explain())?;
        Ok(started.elapsed())
    }
}

/// The pods of brokers and of operators in both regions.
pub fn pods(place: &Place) -> Result<Pods> {
    let mut pods = Pods::new();
    for region in [Region::Here, Region::There] {
        let list = place.json(region, &["get", "pods"])?;
        for pod in list["items"].as_array().into_iter().flatten() {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
            let state = (pod["metadata"]["uid"].clone(), restarts.clone());
            pods.insert(name.to_owned(), state);
        }
    }
    Ok(pods)
}

/// Gives the names that others dial the addresses that the sites' load balancers got.
pub fn name(place: &Place, sites: &[(&str, Region)]) -> Result<()> {
    let host = |site: &str| format!("amq.{site}.{}.example.com", place.namespace);
    let hosts: Vec<_> = sites
        .iter()
        .map(|(site, region)| (*site, *region, host(site)))
        .collect();
    let hosts: Vec<_> = hosts
        .iter()
        .map(|(site, region, host)| (*site, *region, &**host))
        .collect();
    place.name_endpoints(NETWORK, &hosts)
}

pub fn apply(place: &Place, documents: &str, regions: &[Region]) -> Result<()> {
    let here = format!("--namespace={}", place.namespace);
    for region in regions {
        place.cluster(*region).apply(documents, &[&here])?;
    }
    Ok(())
}

pub fn connect(place: &Place, site: &str) -> Result<Client> {
    login(place, site, MCOLLECTIVE, PASSWORD)
}

pub fn login(place: &Place, site: &str, user: &str, password: &str) -> Result<Client> {
    let (_, region) = SITES
        .iter()
        .find(|(own, _)| *own == site)
        .context("no such site")?;
    let cluster = place.cluster(*region);
    let service = format!("{NETWORK}--{site}-stomp");
    let address = cluster.service_address(place.namespace, &service)?;
    cluster.inside(|| Client::connect_to((address, 61613).into(), user, password))
}

/// Waits until the guest gets in everywhere, or nowhere.
pub fn until_login(place: &Place, password: &str, succeeds: bool) -> Result<()> {
    wait::until("a change of a user to be in force", CHANGE, || {
        let is_in = |site| login(place, site, GUEST, password).is_ok();
        let are_so = SITES.iter().all(|(site, _)| is_in(site) == succeeds);
        Ok(are_so.then_some(()))
    })
}

//! The view of the whole network from one broker: for the admin page and for the own report.

use std::time::Duration;

use super::core::Mesh;
use super::ids::{Bid, Epoch, Instance, LinkId, Now, Sid};
use super::report::{LinkReport, ProbeResult, Report, Role, SiteState};
use super::session::link::Link;
use super::session::{Credential, LinkState, Session};

/// Longest error text in a report.
const MAX_ERROR: usize = 120;

/// What a broker knows about the network.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshStatus {
    /// Name of the network.
    pub network: String,
    /// This site.
    pub site: String,
    /// Hash of the specification that is in force here.
    pub spec_hash: String,
    /// Its short id.
    pub sid: Sid,
    /// Its broker id.
    pub bid: Bid,
    /// Its claim id.
    pub instance: Instance,
    /// Its process.
    pub epoch: Epoch,
    /// It is shutting down.
    pub is_leaving: bool,
    /// Generation of the routes.
    pub generation: u64,
    /// Local entries.
    pub local_entries: usize,
    /// Entries of all other brokers.
    pub remote_entries: usize,
    /// All claims that are known, the own one included, in order of broker ids.
    pub sites: Vec<SiteStatus>,
    /// The own ends of the own links, in the order they were configured.
    pub links: Vec<LinkStatus>,
    /// The reports of all sites, in order of broker ids.
    pub reports: Vec<SiteReport>,
}

/// One claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteStatus {
    /// Name of the site.
    pub site: String,
    /// Its short id.
    pub sid: Sid,
    /// Its broker id.
    pub bid: Bid,
    /// Its claim id.
    pub instance: Instance,
    /// Its process.
    pub epoch: Epoch,
    /// Version of its record within the epoch.
    pub seq: u64,
    /// First epoch of the claim.
    pub since: Epoch,
    /// There is a way to it; true for this broker.
    pub is_reachable: bool,
    /// An older claim holds the site.
    pub is_rival: bool,
    /// It is shutting down.
    pub is_leaving: bool,
    /// Name of the first link of the way.
    pub via: Option<String>,
    /// Links to cross.
    pub hops: u16,
    /// Sum of the costs.
    pub distance: u64,
    /// Version of its entries.
    pub iseq: u64,
    /// Hash of its entries.
    pub ihash: u128,
    /// How many entries it has.
    pub entries: usize,
    /// How long it has not been reached.
    pub unreachable: Option<Duration>,
    /// What the last probe to it showed.
    pub probe: ProbeResult,
    /// Links that it advertises, as hashes of their names, with the broker at the other end.
    pub advertised: Vec<(u32, Bid)>,
}

/// The own end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Its number.
    pub id: LinkId,
    /// Its name.
    pub name: String,
    /// The other site.
    pub peer: String,
    /// Its cost here.
    pub cost: u32,
    /// This end dialled the connection, or would.
    pub is_dialler: bool,
    /// State.
    pub state: LinkState,
    /// Why.
    pub reason: &'static str,
    /// Age of the state.
    pub since: Duration,
    /// Smoothed round trip.
    pub rtt: Option<Duration>,
    /// What it was opened with.
    pub credential: Credential,
    /// Start of the fingerprint of the root that the peer's certificate ended at.
    pub root: Option<String>,
    /// It runs over plain TCP.
    pub is_plain: bool,
    /// The peer has the same specification; nothing while not connected.
    pub has_same_spec: Option<bool>,
    /// Messages in the ring.
    pub pending: u64,
    /// What went wrong last.
    pub last_error: String,
    /// How long ago another claim of the peer's site was refused here.
    pub rival: Option<Duration>,
}

/// One site report.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteReport {
    /// Its broker id.
    pub bid: Bid,
    /// Time since it came.
    pub age: Duration,
    /// What it says.
    pub report: Report,
}

impl Mesh {
    /// Another number than before whenever states, routes or reports are others; not for figures.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.reports.revision().wrapping_add(self.generation)
    }

    /// Everything that is known, for people.
    #[must_use]
    pub fn status(&self, now: Now) -> MeshStatus {
        let reports = self.reports.all().map(|(id, known)| SiteReport {
            bid: id.bid,
            age: now.since(known.arrived),
            report: known.report.clone(),
        });
        MeshStatus {
            network: self.config.network.clone(),
            site: self.config.site.clone(),
            spec_hash: self.config.facts.spec_hash.clone(),
            sid: self.config.sid,
            bid: self.id.bid,
            instance: self.claim.instance,
            epoch: self.epoch,
            is_leaving: self.is_leaving,
            generation: self.generation,
            local_entries: self.local.len(),
            remote_entries: self.idb.remote_entries(&self.id),
            sites: self
                .lsdb
                .records()
                .map(|record| self.site_status(record, now))
                .collect(),
            links: self
                .numbered()
                .map(|(id, _)| id)
                .filter_map(|id| self.link_status(id, now))
                .collect(),
            reports: reports.collect(),
        }
    }

    fn site_status(&self, record: &super::lsdb::Record, now: Now) -> SiteStatus {
        let entries = self.idb.claim(&record.id);
        let route = self
            .routes
            .site(record.id.bid)
            .filter(|route| route.id == record.id);
        let way = route.and_then(|route| route.way);
        let via = way
            .and_then(|way| self.link_of(way.link))
            .map(|link| link.config.name.clone());
        SiteStatus {
            site: record.site.to_string(),
            sid: record.sid,
            bid: record.id.bid,
            instance: record.instance,
            epoch: record.epoch,
            seq: record.seq,
            since: record.since,
            is_reachable: record.lost.is_none(),
            is_rival: self.map.rivals.contains(&record.id),
            is_leaving: record.is_leaving,
            via,
            hops: way.map_or(0, |way| way.hops),
            distance: way.map_or(0, |way| way.distance),
            iseq: entries.map_or(0, |claim| claim.iseq),
            ihash: entries.map_or(0, |claim| claim.ihash),
            entries: entries.map_or(0, super::interest::remote::Interest::len),
            unreachable: record.lost.map(|_| record.unreached_for(now)),
            probe: self.probes.result(record.id.bid),
            advertised: record
                .links
                .iter()
                .map(|half| (half.link, half.peer.bid))
                .collect(),
        }
    }

    fn link_status(&self, id: LinkId, now: Now) -> Option<LinkStatus> {
        let link = self.link_of(id)?;
        let session = link.up.and_then(|conn| self.sessions.get(&conn));
        let peer = session.and_then(|session| session.peer.as_ref());
        Some(LinkStatus {
            id,
            name: link.config.name.clone(),
            peer: link.config.peer.clone(),
            cost: link.config.cost,
            is_dialler: session.map_or_else(|| link.dials(), |session| session.is_dialler),
            state: link.state,
            reason: link.reason,
            since: now.since(link.since),
            rtt: session.and_then(|session| session.rtt),
            credential: session.map_or(Credential::None, |session| credential(session, link)),
            root: session.and_then(|session| session.transport.root.clone()),
            is_plain: session.is_some_and(|session| session.transport.binding.is_none()),
            has_same_spec: peer.map(|peer| peer.spec_hash == self.config.facts.spec_hash),
            pending: link.pending,
            last_error: link.last_error.clone(),
            rival: link.rival.map(|at| now.since(at)),
        })
    }

    pub(super) fn own_report(&self, now: Now) -> Report {
        let facts = &self.config.facts;
        let entries = self.idb.claim(&self.id);
        let links = self
            .numbered()
            .map(|(id, _)| id)
            .filter_map(|id| self.link_status(id, now));
        let state = if self.is_leaving {
            SiteState::Draining
        } else {
            SiteState::Running
        };
        Report {
            network: self.config.network.clone(),
            site: self.config.site.clone(),
            instance: self.claim.instance.0.to_vec(),
            epoch: self.epoch.0,
            rseq: 0,
            software: facts.software.clone(),
            spec_hash: facts.spec_hash.clone(),
            users_hash: facts.users_hash.clone(),
            config_hash: facts.config_hash.clone(),
            spec_ms: millis(now.since(self.spec_since)),
            started_ms: self.started.map_or(0, |started| millis(now.since(started))),
            state: state.into(),
            iseq: entries.map_or(0, |claim| claim.iseq),
            entries: entries.map_or(0, |claim| u32::try_from(claim.len()).unwrap_or(u32::MAX)),
            links: links.map(|link| self.link_report(link)).collect(),
            listeners_open: facts.listeners.clone(),
            cert_not_after: facts.certificate_ends,
            bridges: Vec::new(),
        }
    }

    fn link_report(&self, link: LinkStatus) -> LinkReport {
        let probe = self
            .probes
            .result(Bid::derive(&self.config.network, &link.peer));
        let mut last_error = link.last_error;
        while last_error.len() > MAX_ERROR {
            last_error.pop();
        }
        LinkReport {
            name: link.name,
            peer: link.peer,
            role: if link.is_dialler {
                Role::Dialer
            } else {
                Role::Acceptor
            }
            .into(),
            state: link.state.into(),
            reason: link.reason.to_owned(),
            state_ms: millis(link.since),
            rtt_us: link.rtt.map_or(0, |rtt| two_digits(micros(rtt))),
            pending: link.pending,
            credential: link.credential.into(),
            root: link.root.unwrap_or_default(),
            last_error,
            probe_us: probe.trip.map_or(0, micros),
            probe_failed: probe.has_failed,
        }
    }
}

/// A password that was the current one when it opened a connection may be the previous one by now.
fn credential(session: &Session, link: &Link) -> Credential {
    let secrets = &link.config.secrets;
    match &session.secret {
        Some(secret) if secrets.current.as_ref() == Some(secret) => Credential::Current,
        Some(secret) if secrets.previous.as_ref() == Some(secret) => Credential::Previous,
        _ => session.credential,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// Small changes of a round trip are no news.
fn two_digits(number: u32) -> u32 {
    let digits = number.max(1).ilog10();
    let unit = 10u32.pow(digits.saturating_sub(1));
    number / unit * unit
}

#[cfg(test)]
mod tests {
    use super::two_digits;

    #[test]
    fn round_trips_are_told_with_two_digits() {
        let rows = [(0, 0), (7, 7), (42, 42), (1234, 1200), (987_654, 980_000)];
        for (number, told) in rows {
            assert_eq!(two_digits(number), told);
        }
    }
}

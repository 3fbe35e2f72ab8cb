//! Site reports (section 10): each broker tells how it is, so that any one of them can show the
//! whole network. Display data: no rule of routing reads them.

mod body;
mod probe;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::ids::{ClaimId, Epoch, Now};
use super::messages::ReportFrame;

pub use body::{BridgeReport, LinkReport, Report, Role, SiteState};
pub use probe::{ProbeResult, Probes};

/// Longest report.
pub const MAX_REPORT: usize = 32 * 1024;
/// Reports about new states are this far apart.
const FORCED_GAP: Duration = Duration::from_secs(1);
/// Other reports are this far apart.
const REPORT_MIN: Duration = Duration::from_secs(5);
/// Larger networks stretch the intervals.
const STRETCH_FROM: usize = 300;

/// What became of a report that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is newer than what was known.
    Newer,
    /// It is known, or older.
    Known,
    /// Too long, or no report.
    Refused,
}

/// A report with the time it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// As it is flooded.
    pub frame: ReportFrame,
    /// What it says.
    pub report: Report,
    /// When it came.
    pub arrived: Now,
}

/// The newest report of every claim, and when the own one is due.
#[derive(Debug, Default)]
pub struct Reports {
    claims: BTreeMap<ClaimId, Known>,
    bytes: usize,
    rseq: u64,
    issued: Option<Now>,
    forced: bool,
    has_changes: bool,
    /// Rises with whatever of this somebody may want to see.
    revision: u64,
}

impl Reports {
    /// A state, hash or credential is another one: told within a second.
    pub const fn state_changed(&mut self, _now: Now) {
        self.forced = true;
        self.revision += 1;
    }

    /// A number is another one: told within a few seconds.
    pub const fn changed(&mut self, _now: Now) {
        self.has_changes = true;
    }

    /// When the own report is to be issued.
    #[must_use]
    pub fn deadline(&self, sites: usize, refresh: Duration) -> Option<Now> {
        let Some(issued) = self.issued else {
            return Some(Now(0));
        };
        let gap = if self.forced {
            FORCED_GAP
        } else if self.has_changes {
            stretched(REPORT_MIN, sites)
        } else {
            stretched(refresh, sites)
        };
        Some(issued.plus(gap))
    }

    /// True when it is time for the own report.
    #[must_use]
    pub fn is_due(&self, sites: usize, refresh: Duration, now: Now) -> bool {
        self.deadline(sites, refresh).is_some_and(|at| at <= now)
    }

    /// Stores the own report under the next number and gives what is flooded. When it is too long
    /// the texts of errors go first, then links.
    pub fn issue(
        &mut self,
        id: ClaimId,
        epoch: Epoch,
        mut report: Report,
        now: Now,
    ) -> ReportFrame {
        self.rseq += 1;
        self.issued = Some(now);
        (self.forced, self.has_changes) = (false, false);
        report.rseq = self.rseq;
        if report.encoded_len() > MAX_REPORT {
            report
                .links
                .iter_mut()
                .for_each(|link| link.last_error.clear());
        }
        while report.encoded_len() > MAX_REPORT && report.links.pop().is_some() {}
        let frame = ReportFrame {
            bid: id.bid.0.to_vec(),
            instance8: id.instance8,
            epoch: epoch.0,
            rseq: self.rseq,
            body: Bytes::from(report.encode_to_vec()),
        };
        self.store(
            id,
            Known {
                frame: frame.clone(),
                report,
                arrived: now,
            },
        );
        frame
    }

    /// Compares a report with what is known, and stores it when it is newer.
    pub fn offer(&mut self, id: ClaimId, frame: &ReportFrame, now: Now) -> Stored {
        if frame.body.len() > MAX_REPORT {
            return Stored::Refused;
        }
        if (frame.epoch, frame.rseq) <= self.version(&id) {
            return Stored::Known;
        }
        let Ok(report) = Report::decode(frame.body.clone()) else {
            return Stored::Refused;
        };
        self.store(
            id,
            Known {
                frame: frame.clone(),
                report,
                arrived: now,
            },
        );
        Stored::Newer
    }

    /// Epoch and number of what is known of a claim.
    #[must_use]
    pub fn version(&self, id: &ClaimId) -> (u64, u64) {
        self.claims
            .get(id)
            .map_or((0, 0), |known| (known.frame.epoch, known.frame.rseq))
    }

    /// Number of what is known of one process of a claim.
    #[must_use]
    pub fn version_of(&self, id: &ClaimId, epoch: Epoch) -> u64 {
        let (known, rseq) = self.version(id);
        if known == epoch.0 { rseq } else { 0 }
    }

    /// The report of a claim as it is flooded.
    #[must_use]
    pub fn frame(&self, id: &ClaimId) -> Option<ReportFrame> {
        self.claims.get(id).map(|known| known.frame.clone())
    }

    /// All reports in order of claims.
    pub fn all(&self) -> impl Iterator<Item = (&ClaimId, &Known)> {
        self.claims.iter()
    }

    /// Forgets a claim.
    pub fn remove(&mut self, id: &ClaimId) {
        if let Some(known) = self.claims.remove(id) {
            self.bytes -= known.frame.body.len();
            self.revision += 1;
        }
    }

    /// Another number than before whenever a state or a report is another one.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Bytes stored.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn store(&mut self, id: ClaimId, known: Known) {
        self.revision += 1;
        self.bytes += known.frame.body.len();
        if let Some(old) = self.claims.insert(id, known) {
            self.bytes -= old.frame.body.len();
        }
    }
}

fn stretched(time: Duration, sites: usize) -> Duration {
    if sites <= STRETCH_FROM {
        return time;
    }
    let sites = u32::try_from(sites).unwrap_or(u32::MAX);
    time.saturating_mul(sites) / 300
}

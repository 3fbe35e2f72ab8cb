//! One link between connections: its state, when it is dialled next, how long it is held back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::mesh::config::{LinkConfig, Timing};
use crate::mesh::ids::{Bid, ConnId, Now, link_hash};
use crate::mesh::random::Random;
use crate::mesh::session::LinkState;
use crate::mesh::session::renewal::{Renewal, Retiring};

/// A link that was lost so often within a minute is advertised that late. Rule: R1.
const UP_HOLD: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// Losses older than this are forgotten.
const LOSSES: Duration = Duration::from_secs(60);
/// Waits begin anew when a link was up this long.
const RESET_AFTER: Duration = Duration::from_secs(10);
/// Dials that do not wait are this far apart.
const DIAL_GAP: Duration = Duration::from_secs(1);
/// Longest wait after `leaving` and `busy`.
const POLITE_MAX: Duration = Duration::from_secs(5);

/// Where dialling stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum Dial {
    /// This end only accepts, or a connection exists.
    Idle,
    /// The next round begins then.
    At(Now),
    /// That address is being dialled.
    Trying(usize),
}

/// How long to wait before the next round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum Pause {
    /// A network failure.
    Network,
    /// A refusal or failed authentication.
    Refused,
    /// The peer is leaving or busy; it may have named a time.
    Polite(u32),
    /// As soon as allowed.
    AtOnce,
}

/// What a dialled connection shows: what the peer refused a moment ago is not all that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum Attempt {
    /// The certificate, where the link may be opened with one, else the password.
    Best,
    /// The password, since the peer does not take certificates yet.
    Password,
    /// The password before.
    Previous,
}

/// One link of this site.
#[derive(Debug)]
pub(in crate::mesh) struct Link {
    pub(in crate::mesh) config: LinkConfig,
    pub(in crate::mesh) peer: Bid,
    pub(in crate::mesh) hash: u32,
    pub(in crate::mesh) state: LinkState,
    pub(in crate::mesh) reason: &'static str,
    pub(in crate::mesh) since: Now,
    pub(in crate::mesh) dial: Dial,
    /// The connection that carries data.
    pub(in crate::mesh) up: Option<ConnId>,
    pub(in crate::mesh) is_advertised: bool,
    pub(in crate::mesh) hold: Option<Now>,
    /// What is shown next.
    pub(in crate::mesh) attempt: Attempt,
    /// When another claim of the peer's site was refused here last. Rule: R26.
    pub(in crate::mesh) rival: Option<Now>,
    pub(in crate::mesh) last_error: String,
    pub(in crate::mesh) pending: u64,
    pub(in crate::mesh) high_since: Option<Now>,
    /// The next renewal of its connection.
    pub(in crate::mesh) renewal: Renewal,
    /// The connection before the one that is up.
    pub(in crate::mesh) retiring: Option<Retiring>,
    dialled: Option<Now>,
    up_since: Now,
    losses: VecDeque<Now>,
    network_wait: Duration,
    refused_wait: Duration,
    polite_wait: Duration,
}

impl Link {
    pub(in crate::mesh) fn new(config: LinkConfig, peer: Bid, timing: &Timing, now: Now) -> Self {
        let dials = !config.addresses.is_empty();
        Self {
            hash: link_hash(&config.name),
            peer,
            state: if dials {
                LinkState::Connecting
            } else {
                LinkState::Down
            },
            reason: if dials { "tcp" } else { "awaiting_peer" },
            since: now,
            dial: if dials { Dial::At(now) } else { Dial::Idle },
            config,
            up: None,
            is_advertised: false,
            hold: None,
            attempt: Attempt::Best,
            rival: None,
            last_error: String::new(),
            pending: 0,
            high_since: None,
            renewal: Renewal::default(),
            retiring: None,
            dialled: None,
            up_since: now,
            losses: VecDeque::new(),
            network_wait: timing.redial_min,
            refused_wait: timing.refused_min,
            polite_wait: timing.refused_min,
        }
    }

    /// True when this end dials.
    pub(in crate::mesh) fn dials(&self) -> bool {
        !self.config.addresses.is_empty()
    }

    /// Notes that an address is dialled.
    pub(in crate::mesh) fn dialling(&mut self, address: usize, now: Now) {
        self.dial = Dial::Trying(address);
        if address == 0 {
            self.dialled = Some(now);
        }
    }

    /// Sets the time of the next round. Rule: 3.4, the table of 3.3.
    pub(in crate::mesh) fn pause(
        &mut self,
        pause: Pause,
        timing: &Timing,
        random: &mut Random,
        now: Now,
    ) {
        if !self.dials() {
            self.dial = Dial::Idle;
            return;
        }
        self.dial = Dial::At(match pause {
            Pause::Network => {
                let most = self.network_wait;
                self.network_wait = (most * 2).min(timing.redial_max);
                now.plus(random.up_to(most))
            }
            Pause::Refused => {
                let wait = self.refused_wait;
                self.refused_wait = (wait * 2).min(timing.refused_max);
                now.plus(random.about(wait))
            }
            Pause::Polite(0) => {
                let wait = self.polite_wait;
                self.polite_wait = (wait * 2).min(POLITE_MAX);
                now.plus(random.about(wait))
            }
            Pause::Polite(ms) => now.plus(Duration::from_millis(ms.into()).min(timing.refused_max)),
            Pause::AtOnce => self
                .dialled
                .map_or(now, |dialled| dialled.plus(DIAL_GAP).max(now)),
        });
    }

    /// Notes that the link is up, and when it may be advertised. Rule: R1.
    pub(in crate::mesh) fn came_up(&mut self, conn: ConnId, now: Now) {
        self.up = Some(conn);
        self.up_since = now;
        self.dial = Dial::Idle;
        self.attempt = Attempt::Best;
        self.last_error.clear();
        while self
            .losses
            .front()
            .is_some_and(|loss| now.since(*loss) >= LOSSES)
        {
            self.losses.pop_front();
        }
        self.hold = Some(now.plus(UP_HOLD[self.losses.len().min(UP_HOLD.len() - 1)]));
    }

    /// Notes that the link is not up any more.
    pub(in crate::mesh) fn went_down(&mut self, timing: &Timing, now: Now) {
        self.up = None;
        self.retiring = None;
        self.renewal = Renewal::default();
        self.is_advertised = false;
        self.hold = None;
        self.high_since = None;
        self.pending = 0;
        self.losses.push_back(now);
        if self.losses.len() > UP_HOLD.len() {
            self.losses.pop_front();
        }
        if now.since(self.up_since) >= RESET_AFTER {
            self.network_wait = timing.redial_min;
            self.refused_wait = timing.refused_min;
            self.polite_wait = timing.refused_min;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dial, Link, Pause, UP_HOLD};
    use crate::mesh::config::{Address, LinkConfig, Secrets, Timing};
    use crate::mesh::ids::{Bid, ConnId, Now};
    use crate::mesh::random::Random;
    use std::time::Duration;

    fn link() -> Link {
        let config = LinkConfig {
            name: "a-b".to_owned(),
            peer: "b".to_owned(),
            cost: 10,
            addresses: vec![Address {
                host: "b".to_owned(),
                port: 61618,
            }],
            heartbeat: Duration::from_secs(1),
            user: String::new(),
            secrets: Secrets::default(),
        };
        Link::new(config, Bid::default(), &Timing::default(), Now(0))
    }

    fn wait(link: &mut Link, pause: Pause, random: &mut Random) -> Duration {
        link.pause(pause, &Timing::default(), random, Now(0));
        match link.dial {
            Dial::At(at) => at.since(Now(0)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn waits_after_network_failures_double_up_to_five_seconds_with_full_jitter() {
        let mut random = Random::new(1);
        let mut link = link();
        let mut longest = Duration::ZERO;
        let mut most = Duration::from_millis(100);
        for _ in 0..200 {
            let waited = wait(&mut link, Pause::Network, &mut random);
            assert!(waited <= most, "{waited:?} of {most:?}");
            most = (most * 2).min(Duration::from_secs(5));
            longest = longest.max(waited);
        }
        assert!(longest > Duration::from_secs(4));
    }

    #[test]
    fn waits_after_refusals_double_up_to_thirty_seconds() {
        let mut random = Random::new(1);
        let mut link = link();
        let mut nominal = Duration::from_secs(1);
        for _ in 0..10 {
            let waited = wait(&mut link, Pause::Refused, &mut random);
            assert!(
                waited >= nominal * 9 / 10 && waited <= nominal * 11 / 10,
                "{waited:?}"
            );
            nominal = (nominal * 2).min(Duration::from_secs(30));
        }
    }

    #[test]
    fn a_link_that_flaps_is_advertised_late() {
        let mut link = link();
        let second = |seconds: u64| Now(seconds * 1_000_000_000);
        for (round, hold) in (0..).zip(UP_HOLD) {
            link.came_up(ConnId(1), second(round));
            assert_eq!(link.hold, Some(second(round).plus(hold)));
            link.went_down(&Timing::default(), second(round));
        }
        link.came_up(ConnId(1), second(100));
        assert_eq!(link.hold, Some(second(100)));
    }

    #[test]
    fn waits_begin_anew_after_ten_seconds_up() {
        let mut random = Random::new(1);
        let mut link = link();
        for _ in 0..10 {
            wait(&mut link, Pause::Network, &mut random);
        }
        link.came_up(ConnId(1), Now(0));
        link.went_down(&Timing::default(), Now(0).plus(Duration::from_secs(10)));
        assert!(wait(&mut link, Pause::Network, &mut random) <= Duration::from_millis(100));
    }
}

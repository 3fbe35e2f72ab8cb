use std::time::Duration;

use super::sync::{Answer, ROOM, Sync};
use super::{Limit, Session, Stage};
use crate::mesh::event::Transport;
use crate::mesh::frame::{PRE_AUTH_LIMIT, Phase};
use crate::mesh::ids::{ClaimId, ConnId, Now};

const SECOND: Duration = Duration::from_secs(1);

fn session() -> Session {
    Session::new(ConnId(1), None, Transport::default(), Now(0))
}

fn gives_up(session: &Session) -> (Now, Limit) {
    session.gives_up(5 * SECOND, 60 * SECOND, SECOND)
}

#[test]
fn phases_follow_the_stages() {
    let mut session = session();
    let rows = [
        (Stage::Auth, false, Phase::PreAuth),
        (Stage::Hello, false, Phase::Hello),
        (Stage::Sync, false, Phase::Sync),
        (Stage::Sync, true, Phase::Up),
        (Stage::Up, true, Phase::Up),
    ];
    for (stage, has_received, phase) in rows {
        session.stage = stage;
        session.sync.has_received = has_received;
        assert_eq!(session.phase(), phase);
    }
}

#[test]
fn the_peer_sets_how_long_its_silence_is_borne() {
    let mut session = session();
    session.stage = Stage::Up;
    assert_eq!(
        gives_up(&session),
        (Now(0).plus(3 * SECOND), Limit::Silence)
    );
    session.announced(200);
    assert_eq!(
        gives_up(&session).0,
        Now(0).plus(Duration::from_millis(600))
    );
    session.announced(u32::MAX);
    assert_eq!(gives_up(&session).0, Now(0).plus(180 * SECOND));
    session.announced(0);
    assert!(gives_up(&session).0 > Now(0));
}

#[test]
fn synchronisation_may_take_a_minute_but_not_ten_seconds_of_silence() {
    let mut session = session();
    session.stage = Stage::Sync;
    assert_eq!(gives_up(&session), (Now(0).plus(10 * SECOND), Limit::Sync));
    session.heard = Now(0).plus(55 * SECOND);
    assert_eq!(gives_up(&session).0, Now(0).plus(60 * SECOND));
}

#[test]
fn bytes_before_authentication_are_counted_together() {
    let mut session = session();
    assert!(session.takes_early(PRE_AUTH_LIMIT));
    assert!(!session.takes_early(1));
}

#[test]
fn round_trips_are_smoothed() {
    let mut session = session();
    session.measured(8 * SECOND);
    session.measured(16 * SECOND);
    assert_eq!(session.rtt, Some(9 * SECOND));
}

#[test]
fn answers_stop_when_much_waits_and_go_on_when_there_is_room() {
    let mut sync = Sync::default();
    let other = ClaimId {
        instance8: 1,
        ..ClaimId::default()
    };
    sync.owe(Answer::Lsa(ClaimId::default()));
    sync.owe(Answer::Lsa(ClaimId::default()));
    sync.owe(Answer::Lsa(other));
    assert_eq!(sync.next(), Some(Answer::Lsa(ClaimId::default())));
    sync.sent(ROOM);
    assert_eq!(sync.next(), None);
    assert!(sync.asks_room());
    assert!(!sync.asks_room(), "asked once");
    sync.room();
    assert_eq!(
        sync.next(),
        Some(Answer::Lsa(other)),
        "the same question twice is one"
    );
    assert_eq!(sync.next(), None);
}

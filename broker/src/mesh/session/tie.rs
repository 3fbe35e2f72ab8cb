//! Which of several connections of one link stays (3.4). The side with the lower broker id decides;
//! the other accepts.

use std::time::Duration;

use crate::mesh::ids::Epoch;

/// How long the second of two handshakes waits for the first.
pub(in crate::mesh) const TIE_WAIT: Duration = Duration::from_secs(2);

/// The connection of the link that is up here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) struct UpConn {
    pub(in crate::mesh) number: u64,
    pub(in crate::mesh) epoch: Epoch,
}

/// What is known when a HELLO has passed all other checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) struct View {
    /// The own broker id is the lower one.
    pub(in crate::mesh) decides_here: bool,
    /// This connection was dialled here.
    pub(in crate::mesh) is_dialled_here: bool,
    /// Epoch in the HELLO.
    pub(in crate::mesh) epoch: Epoch,
    /// Either end wants this connection to follow the one that is up.
    pub(in crate::mesh) renews: bool,
    /// `live_conn` in the HELLO.
    pub(in crate::mesh) live_conn: u64,
    /// The connection that is up.
    pub(in crate::mesh) up: Option<UpConn>,
    /// Another connection is in handshake: whether it was dialled here.
    pub(in crate::mesh) handshake: Option<bool>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) enum Tie {
    /// ACCEPT.
    Accept,
    /// Close the other connections, then ACCEPT.
    Replace,
    /// REFUSE `superseded`.
    Refuse,
    /// Wait for the other handshake.
    Wait,
    /// ACCEPT beside the connection that is up, which this one is to follow (R25).
    Renew,
}

/// Decides.
pub(in crate::mesh) fn decide(view: View) -> Tie {
    match (view.up, view.handshake) {
        // A restart of the peer: both sides bury the old connection.
        (Some(up), _) if view.epoch > up.epoch => Tie::Replace,
        // Both ends see the same connection up; the newer one takes its place without a gap.
        (Some(up), _) if view.renews && is_known(up, view) => Tie::Renew,
        _ if !view.decides_here => Tie::Accept,
        // The one that it was to follow is gone and another one has come.
        (Some(_), _) if view.renews && !view.is_dialled_here => Tie::Refuse,
        (Some(up), _) if is_known(up, view) => Tie::Refuse,
        // The peer has lost it: a half-dead connection never blocks the link's return.
        (Some(_), _) => Tie::Replace,
        (None, Some(true)) if !view.is_dialled_here => Tie::Wait,
        (None, Some(_)) => Tie::Replace,
        (None, None) => Tie::Accept,
    }
}

fn is_known(up: UpConn, view: View) -> bool {
    up.number == view.live_conn && up.number != 0
}

#[cfg(test)]
mod tests {
    use super::{Tie, UpConn, View, decide};
    use crate::mesh::ids::Epoch;

    const FRESH: View = View {
        decides_here: true,
        is_dialled_here: false,
        epoch: Epoch(5),
        renews: false,
        live_conn: 0,
        up: None,
        handshake: None,
    };
    const UP: Option<UpConn> = Some(UpConn {
        number: 9,
        epoch: Epoch(5),
    });

    #[test]
    fn the_lower_broker_id_decides_as_the_design_says() {
        let rows = [
            ("nothing else", FRESH, Tie::Accept),
            (
                "the one dialled here goes first",
                View {
                    handshake: Some(true),
                    ..FRESH
                },
                Tie::Wait,
            ),
            (
                "this one was dialled here",
                View {
                    handshake: Some(false),
                    is_dialled_here: true,
                    ..FRESH
                },
                Tie::Replace,
            ),
            (
                "the peer dialled twice",
                View {
                    handshake: Some(false),
                    ..FRESH
                },
                Tie::Replace,
            ),
            (
                "both know the one that is up",
                View {
                    up: UP,
                    live_conn: 9,
                    ..FRESH
                },
                Tie::Refuse,
            ),
            (
                "the peer has lost it",
                View { up: UP, ..FRESH },
                Tie::Replace,
            ),
            (
                "the peer knows an older one",
                View {
                    up: UP,
                    live_conn: 7,
                    ..FRESH
                },
                Tie::Replace,
            ),
            (
                "the peer restarted",
                View {
                    up: UP,
                    live_conn: 9,
                    epoch: Epoch(6),
                    ..FRESH
                },
                Tie::Replace,
            ),
            (
                "it is renewed",
                View {
                    up: UP,
                    live_conn: 9,
                    renews: true,
                    ..FRESH
                },
                Tie::Renew,
            ),
            (
                "the one to be renewed was lost at both ends and is back",
                View {
                    up: UP,
                    live_conn: 7,
                    renews: true,
                    ..FRESH
                },
                Tie::Refuse,
            ),
            (
                "the peer has lost what is to be renewed here",
                View {
                    up: UP,
                    renews: true,
                    is_dialled_here: true,
                    ..FRESH
                },
                Tie::Replace,
            ),
            (
                "the one to be renewed is gone",
                View {
                    live_conn: 9,
                    renews: true,
                    ..FRESH
                },
                Tie::Accept,
            ),
            (
                "a restart is no renewal",
                View {
                    up: UP,
                    live_conn: 9,
                    renews: true,
                    epoch: Epoch(6),
                    ..FRESH
                },
                Tie::Replace,
            ),
        ];
        for (name, view, expected) in rows {
            assert_eq!(decide(view), expected, "{name}");
        }
    }

    #[test]
    fn the_higher_broker_id_never_refuses() {
        for up in [None, UP] {
            for handshake in [None, Some(true), Some(false)] {
                for live_conn in [0, 9] {
                    let view = View {
                        decides_here: false,
                        up,
                        handshake,
                        live_conn,
                        ..FRESH
                    };
                    assert_eq!(decide(view), Tie::Accept);
                }
            }
        }
        let restarted = View {
            decides_here: false,
            up: UP,
            epoch: Epoch(6),
            ..FRESH
        };
        assert_eq!(decide(restarted), Tie::Replace);
    }
}

//! Where a site runs: the only thing in which two renderings of one network differ.

use std::collections::BTreeMap;

use causeway_broker::config::units::Span;
use uuid::Uuid;

use crate::api::shared::Address;
use crate::names::LinkName;

/// The listeners of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenerKind {
    /// STOMP.
    Stomp,
    /// STOMP over TLS.
    StompTls,
    /// Links of other sites.
    Link,
    /// Health, metrics, status.
    Admin,
}

impl ListenerKind {
    /// Every listener.
    pub const ALL: [Self; 4] = [Self::Stomp, Self::StompTls, Self::Link, Self::Admin];

    /// The name in the documents, such as `stompTls`.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Stomp => "stomp",
            Self::StompTls => "stompTls",
            Self::Link => "link",
            Self::Admin => "admin",
        }
    }
}

/// Where one site runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Address that every listener is bound to.
    pub bind: String,
    /// Whether that address is reachable from this machine alone, so that `/status` needs no token.
    pub is_loopback: bool,
    /// Port of each open listener; one that is missing is closed.
    pub ports: BTreeMap<ListenerKind, u16>,
    /// What this site dials for each link, in order; one that is missing is only accepted.
    pub addresses: BTreeMap<LinkName, Vec<Address>>,
    /// Where the broker finds the process before it and takes over what that one keeps.
    pub handover: Option<Address>,
    /// The broker's state folder.
    pub state_dir: String,
    /// Time for a stop.
    pub drain: Span,
    /// Who claims the site; its instance id follows from it.
    pub claimant: Uuid,
    /// Token of `/status`, where that is not open.
    pub admin_token: String,
}

//! A new configuration while links are up: what did not change is not touched.

use std::collections::BTreeMap;

use super::ending::After;
use super::{Mesh, local_config};
use crate::mesh::config::{LinkConfig, MeshConfig};
use crate::mesh::event::Actions;
use crate::mesh::ids::{ConnId, LinkId, Now};
use crate::mesh::messages::Reason;
use crate::mesh::session::link::Pause;
use crate::mesh::session::{Credential, LinkState, Session};

impl Mesh {
    /// Network, site and short id stay: they are another broker.
    pub(super) fn configure(&mut self, config: MeshConfig, now: Now, out: &mut Actions) {
        let fixed = (
            self.config.network.clone(),
            self.config.site.clone(),
            self.config.sid,
        );
        let before = std::mem::replace(&mut self.config, config);
        (self.config.network, self.config.site, self.config.sid) = fixed;
        if before == self.config {
            return;
        }
        if before.facts.spec_hash != self.config.facts.spec_hash {
            self.spec_since = now;
        }
        self.local.configure(local_config(&self.config));
        self.set_denied();
        self.remove_links(now, out);
        self.update_links(now);
        self.close_denied(now, out);
        self.close_withdrawn(now, out);
        // People change costs rarely, and until others know, frames bounce between them and this broker.
        self.issuer.at_once(now);
        self.reports.state_changed(now);
        self.need_map(now);
        self.publish(out);
    }

    /// Links that are gone, or lead elsewhere.
    fn remove_links(&mut self, now: Now, out: &mut Actions) {
        let wanted: BTreeMap<&str, &LinkConfig> = self
            .config
            .links
            .iter()
            .map(|link| (link.name.as_str(), link))
            .collect();
        let gone: Vec<LinkId> = self
            .numbered()
            .filter(|(_, link)| {
                wanted
                    .get(link.config.name.as_str())
                    .is_none_or(|new| new.peer != link.config.peer)
            })
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            for conn in self.conns_of(|session| session.link == Some(id)) {
                let after = After::down("closed");
                self.say_bye(
                    conn,
                    Reason::LinkRemoved,
                    "not configured any more",
                    after,
                    now,
                    out,
                );
            }
            if let Some(slot) = self.links.get_mut(id.index()) {
                *slot = None;
            }
        }
    }

    /// New links, and those whose address, cost, interval or password changed.
    fn update_links(&mut self, now: Now) {
        for config in self.config.links.clone() {
            let Some(id) = self.link(&config.name) else {
                self.add_link(config, now);
                continue;
            };
            let Some(link) = self.link_mut(id).filter(|link| link.config != config) else {
                continue;
            };
            let is_reachable_anew =
                link.config.addresses != config.addresses || link.config.secrets != config.secrets;
            link.config = config;
            if is_reachable_anew {
                link.tries_previous = false;
                self.dial_soon(id, now);
            }
        }
    }

    fn close_denied(&mut self, now: Now, out: &mut Actions) {
        let denied = self.conns_of(|session| {
            session
                .peer
                .as_ref()
                .is_some_and(|peer| self.denied.contains(&peer.id.bid))
        });
        for conn in denied {
            let after = After {
                state: LinkState::Refused,
                reason: "denied_site",
                pause: Pause::Refused,
            };
            self.say_bye(conn, Reason::DeniedSite, "site is denied", after, now, out);
        }
    }

    /// Connections whose password is not valid any more.
    fn close_withdrawn(&mut self, now: Now, out: &mut Actions) {
        let auth = self.config.auth;
        let withdrawn = self.conns_of(|session| match (&session.credential, &session.secret) {
            (Credential::Certificate, _) => !auth.takes_certificates(),
            (Credential::None, _) => false,
            (_, secret) => {
                let link = session.link.and_then(|id| self.link_of(id));
                let is_valid = link
                    .zip(secret.as_ref())
                    .is_some_and(|(link, secret)| link.config.secrets.contains(secret));
                !is_valid || !auth.takes_passwords()
            }
        });
        for conn in withdrawn {
            let after = After {
                state: LinkState::AuthFailed,
                reason: "password",
                pause: Pause::AtOnce,
            };
            self.say_bye(
                conn,
                Reason::CredentialWithdrawn,
                "password",
                after,
                now,
                out,
            );
        }
    }

    fn conns_of(&self, which: impl Fn(&Session) -> bool) -> Vec<ConnId> {
        self.sessions
            .values()
            .filter(|session| which(session))
            .map(|session| session.conn)
            .collect()
    }
}

//! A new configuration while links are up: what did not change is not touched.

use std::collections::BTreeMap;

use super::ending::After;
use super::{Mesh, local_config};
use crate::mesh::config::{LinkConfig, MeshConfig};
use crate::mesh::event::Actions;
use crate::mesh::ids::{LinkId, Now};
use crate::mesh::messages::Reason;
use crate::mesh::session::LinkState;
use crate::mesh::session::link::{Attempt, Pause};

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
        self.judge_credentials(now, out);
        self.plan_renewals(now);
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
                link.attempt = Attempt::Best;
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
}

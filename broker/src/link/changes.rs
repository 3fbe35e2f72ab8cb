//! A changed configuration of links.

use std::sync::Arc;

use super::conn::{Conn, Shown};
use super::lasting::LinkData;
use super::node::{Node, lock, now};
use super::tls::{LinkTls, Verifier};
use crate::config::Config;
use crate::mesh::config::MeshConfig;
use crate::mesh::event::{Actions, Event};
use crate::mesh::ids::ConnId;

impl Node {
    /// Puts a new configuration in force.
    ///
    /// # Errors
    /// Certificates cannot be used; nothing changed.
    pub fn apply(&self, config: &Config, mesh: &MeshConfig) -> anyhow::Result<()> {
        let (tls, verifier) = (LinkTls::new(config)?, Verifier::new(config)?);
        self.tls.store(Arc::new(tls));
        self.verifier.store(Arc::new(verifier));
        let mut actions = Actions::new();
        let mut core = lock(&self.core);
        core.handle(Event::Config(Box::new(mesh.clone())), now(), &mut actions);
        drop(core);
        let gone = self.set_links(mesh, config);
        let late = self.carry_out(actions);
        self.carry_out_late(late);
        let verifier = self.verifier.load();
        for conn in self.shown(|shown| !verifier.trusts(&shown.chain)) {
            self.control(Event::Distrusted { conn });
        }
        // A link that is not configured any more is found by nobody, and its frames take other ways.
        gone.iter().for_each(|link| self.resplit(link));
        self.tick.notify_one();
        Ok(())
    }

    /// Makes the links those of the configuration, and gives those that went. Indexes stay with the
    /// names.
    pub(super) fn set_links(&self, mesh: &MeshConfig, config: &Config) -> Vec<Arc<LinkData>> {
        let old = self.links.load_full();
        let written = &config.broker.links;
        let mut links: Vec<Option<Arc<LinkData>>> = Vec::new();
        for (one, config_of) in mesh.links.iter().zip(written) {
            let name = &one.name;
            let cap = config.limits.link_window(config_of, written.len());
            let Some(id) = self.with_core(|core| core.link(name)) else {
                continue;
            };
            if links.len() <= id.index() {
                links.resize(id.index() + 1, None);
            }
            let known = old
                .iter()
                .flatten()
                .find(|link| link.name == *name && link.id == id)
                .cloned();
            let link = known.unwrap_or_else(|| {
                let metrics = &self.broker.metrics;
                Arc::new(LinkData::new(id, name, &one.peer, cap, metrics, now()))
            });
            link.ring().set_cap(cap, now());
            links[id.index()] = Some(link);
        }
        for link in old.iter().flatten() {
            if !links.iter().flatten().any(|kept| kept.name == link.name) {
                self.broker
                    .metrics
                    .links
                    .remove_link(&link.name, &link.peer);
            }
        }
        let is_kept =
            |link: &Arc<LinkData>| links.get(link.id.index()).is_some_and(Option::is_some);
        let gone = old.iter().flatten().filter(|link| !is_kept(link));
        let gone = gone.cloned().collect();
        self.links.store(Arc::new(links));
        gone
    }

    /// The connections whose peer has shown such a chain.
    pub(super) fn shown(&self, is_meant: impl Fn(&Shown) -> bool) -> Vec<ConnId> {
        let conns = lock(&self.conns);
        let shown = |conn: &&Arc<Conn>| conn.shown().is_some_and(&is_meant);
        conns.values().filter(shown).map(|conn| conn.id).collect()
    }
}

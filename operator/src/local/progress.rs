//! How far the network is, from what its brokers say: who listens, which links are up, whether a change is in force.
//! Pure: views in, events out.

use std::collections::BTreeMap;

use super::events::Event;
use super::plan::{Plan, SitePlan};
use crate::client::view::StatusView;
use crate::model::ListenerKind;
use crate::render;

/// What is known of one running site.
#[derive(Debug, Default)]
struct Site {
    ports: BTreeMap<ListenerKind, u16>,
    hash: String,
    listens: bool,
    /// It ended and is not started again.
    is_left_dead: bool,
    applied: Option<String>,
    links: BTreeMap<String, (String, String)>,
}

/// How far the network is.
#[derive(Debug, Default)]
pub struct Progress {
    sites: BTreeMap<String, Site>,
    links: BTreeMap<String, [String; 2]>,
    is_ready: bool,
    /// Hash of a change that is not yet in force everywhere.
    pending: Option<String>,
}

impl Progress {
    /// Follows a plan from now on; what is known of sites that stay is kept.
    pub fn follow(&mut self, plan: &Plan, is_change: bool) {
        let mut known = std::mem::take(&mut self.sites);
        for site in plan.sites.iter().filter(|site| site.is_running) {
            let mut kept = known.remove(&site.name).unwrap_or_default();
            kept.ports = site.ports.clone();
            kept.hash = site.hash.clone();
            self.sites.insert(site.name.clone(), kept);
        }
        self.links = plan.links.clone();
        self.is_ready &= self.all_up();
        if is_change {
            self.pending = Some(plan.spec_hash.clone());
        }
    }

    /// Whether a site listens, as far as its broker has told.
    #[must_use]
    pub fn is_listening(&self, site: &str) -> bool {
        self.sites.get(site).is_some_and(|site| site.listens)
    }

    /// A broker ended; `is_left_dead` if nobody starts it again.
    pub fn ended(&mut self, site: &str, is_left_dead: bool) {
        if let Some(site) = self.sites.get_mut(site) {
            *site = Site {
                ports: std::mem::take(&mut site.ports),
                hash: std::mem::take(&mut site.hash),
                is_left_dead,
                ..Site::default()
            };
            self.is_ready = false;
        }
    }

    /// What a broker says, and the process it is.
    pub fn observe(&mut self, name: &str, pid: u32, view: &StatusView) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(site) = self.sites.get_mut(name) else {
            return events;
        };
        if !site.listens && site.is_listening(view) {
            site.listens = true;
            site.is_left_dead = false;
            events.push(Event::site(name, pid, &site.ports));
        }
        if !site.listens {
            return events;
        }
        site.take_links(name, view, &mut events);
        let whole = |hash: &String| render::whole_hash(hash, &view.config.certificates);
        site.applied = view.config.applied.as_ref().map(whole);
        let refusal = view.config.error.as_ref().filter(|_| {
            view.config
                .seen
                .as_ref()
                .is_some_and(|seen| site.hash.starts_with(seen.as_str()))
                && site.applied.as_ref() != Some(&site.hash)
        });
        if let Some(error) = refusal
            && self.pending.take().is_some()
        {
            let message = format!(
                "site {name} refuses the change: {error}; its old configuration stays in force"
            );
            events.push(Event::error(message));
        }
        events
    }

    /// What has become true: the change is in force, the network is ready.
    pub fn conclude(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.is_in_force()
            && let Some(hash) = self.pending.take()
        {
            events.push(Event::Applied { hash });
        }
        let is_ready = self.all_up();
        if is_ready && !self.is_ready {
            events.push(Event::Ready);
        }
        self.is_ready = is_ready;
        events
    }

    fn is_in_force(&self) -> bool {
        self.sites
            .values()
            .all(|site| site.is_left_dead || site.applied.as_ref() == Some(&site.hash))
    }

    fn all_up(&self) -> bool {
        let is_up = |link: &str, end: &String| {
            let state = self.sites.get(end).and_then(|site| site.links.get(link));
            state.is_some_and(|(state, _)| matches!(state.as_str(), "up" | "throttled"))
        };
        let up = |(link, ends): (&String, &[String; 2])| ends.iter().all(|end| is_up(link, end));
        self.sites.values().all(|site| site.listens) && self.links.iter().all(up)
    }
}

impl Site {
    /// Whether every listener of clients that should be open is.
    fn is_listening(&self, view: &StatusView) -> bool {
        let clients = self
            .ports
            .iter()
            .filter(|(kind, _)| matches!(kind, ListenerKind::Stomp | ListenerKind::StompTls));
        let mut wanted = clients.map(|(_, port)| format!(":{port}"));
        wanted.all(|end| {
            let mut listeners = view.listeners.iter();
            listeners.any(|listener| listener.state == "open" && listener.address.ends_with(&end))
        })
    }

    fn take_links(&mut self, name: &str, view: &StatusView, events: &mut Vec<Event>) {
        let mut links = BTreeMap::new();
        for link in &view.links {
            let now = (link.state.clone(), link.reason.clone());
            if self.links.get(&link.link) != Some(&now) {
                events.push(Event::Link {
                    link: link.link.clone(),
                    from: name.to_owned(),
                    to: link.peer.clone(),
                    state: link.state.clone(),
                    reason: link.reason.clone(),
                });
            }
            links.insert(link.link.clone(), now);
        }
        self.links = links;
    }
}

/// Sites of one plan that run, by name.
#[must_use]
pub fn running(plan: &Plan) -> BTreeMap<&str, &SitePlan> {
    let running = plan.sites.iter().filter(|site| site.is_running);
    running.map(|site| (site.name.as_str(), site)).collect()
}

#[cfg(test)]
mod tests;

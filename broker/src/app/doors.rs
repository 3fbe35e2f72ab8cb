//! The ports of a broker: opened, moved and closed as its configuration says.

use std::sync::{Arc, PoisonError};

use anyhow::Context as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::admin::{self, Admin};
use crate::config::Config;
use crate::link::io;
use crate::net::listener::Reserved;

/// A port that is open.
pub(super) struct Door {
    host: String,
    port: u16,
    /// Closes it.
    pub(super) cancel: CancellationToken,
}

impl Door {
    /// Makes `door` the one that is wanted: `serve` is given the port and what closes it, and the old
    /// one is closed once the new one is open.
    fn lead(
        door: &mut Option<Self>,
        wanted: Option<(&str, u16)>,
        (ports, all): (&mut Reserved, &CancellationToken),
        serve: impl FnOnce(TcpListener, CancellationToken),
    ) -> anyhow::Result<()> {
        if door.as_ref().map(|door| (&*door.host, door.port)) == wanted {
            return Ok(());
        }
        let mut opened = None;
        if let Some((host, port)) = wanted {
            let (socket, cancel) = (ports.bind(host, port)?, all.child_token());
            serve(socket, cancel.clone());
            let host = host.to_owned();
            opened = Some(Self { host, port, cancel });
        }
        if let Some(old) = std::mem::replace(door, opened) {
            old.cancel.cancel();
        }
        Ok(())
    }
}

impl App {
    /// Makes the open ports those of the configuration.
    ///
    /// # Errors
    /// A port is taken, or a certificate cannot be used.
    pub(super) fn open(&mut self, config: &Config, ports: &mut Reserved) -> anyhow::Result<()> {
        self.listeners.apply(config, ports).context("listeners")?;
        self.open_link(config, ports).context("listeners.link")?;
        self.open_admin(config, ports).context("listeners.admin")?;
        self.note_listeners();
        Ok(())
    }

    fn open_admin(&mut self, config: &Config, ports: &mut Reserved) -> anyhow::Result<()> {
        let wanted = config.broker.listeners.admin.as_ref();
        let wanted = wanted.map(|wanted| (&*wanted.bind, wanted.port));
        let (page, holders) = (self.page(), self.holders.clone());
        Door::lead(
            &mut self.admin,
            wanted,
            (ports, &self.cancel),
            |socket, until| {
                holders.spawn(admin::serve(socket, page(until)));
            },
        )
    }

    fn page(&self) -> impl FnOnce(CancellationToken) -> Admin + use<> {
        let (listeners, node) = (self.parts.clone(), self.node.clone());
        let (broker, is_ready) = (self.broker.clone(), self.is_ready.clone());
        let parts = Arc::new(move |value: &mut serde_json::Value| {
            node.add_status(value);
            let listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
            value["listeners"] = serde_json::Value::Array(listeners.clone());
        });
        move |cancel| Admin {
            broker,
            is_ready,
            parts,
            cancel,
        }
    }

    fn open_link(&mut self, config: &Config, ports: &mut Reserved) -> anyhow::Result<()> {
        let wanted = config.broker.listeners.link.as_ref();
        let wanted = wanted.map(|wanted| (&*wanted.bind, wanted.port));
        let (node, holders) = (self.node.clone(), self.holders.clone());
        Door::lead(
            &mut self.link,
            wanted,
            (ports, &self.cancel),
            |socket, until| {
                holders.spawn(io::accept(node, socket, until));
            },
        )
    }

    fn note_listeners(&self) {
        let clients = self.listeners.addresses().into_iter();
        let mut all: Vec<_> = clients
            .map(|(name, address)| json!({"name": name, "address": address.to_string(), "state": "open"}))
            .collect();
        if let Some(Door { host, port, .. }) = &self.link {
            let address = format!("{host}:{port}");
            all.push(json!({"name": "link", "address": address, "state": "open"}));
        }
        *self.parts.lock().unwrap_or_else(PoisonError::into_inner) = all;
        self.broker.changes.note();
    }
}

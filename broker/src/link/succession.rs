//! This process gives everything to the next one of its site. Rule: R26.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_rustls::server::TlsStream;

use super::node::{Node, now};
use crate::handover::{Claimant, Holder, Identity, greet};
use crate::mesh::event::Event;
use crate::net::tls::nonce;
use crate::telemetry::Seldom;

/// How often it is looked whether everything under way has arrived.
const LOOK: Duration = Duration::from_millis(20);
/// The last frames of links are on their way for so long.
const LAST_WORD: Duration = Duration::from_millis(100);
/// Whoever asks in vain is told of no more often.
const TOLD: Duration = Duration::from_secs(10);

/// Whom to tell of newer processes.
#[derive(Debug)]
pub(super) struct Claimants {
    sender: mpsc::Sender<Claimant>,
    refusals: Seldom,
}

/// Hears a newer process that dialled the link port, and passes it on to who takes this one down.
pub(super) async fn hear(
    node: &Node,
    stream: TlsStream<TcpStream>,
    address: String,
    binding: Option<[u8; 32]>,
) {
    // The process that has not taken over yet itself gives nothing.
    let Some(claimants) = node.claimants.get() else {
        return;
    };
    let peer = stream.get_ref().0.peer_addr();
    let peer = peer.map_or_else(|_| "nobody".to_owned(), |peer| peer.ip().to_string());
    let config = node.broker.config();
    let holder = Holder {
        epoch: node.broker.epoch,
        nonce: nonce().to_vec(),
        address,
        proof: Vec::new(),
    };
    let patience = config.limits.mesh_times.handshake.duration();
    let identity = Identity::of(&config);
    let own = (identity.as_ref(), holder);
    let greeting = greet(
        stream,
        own,
        binding.as_ref(),
        (config.limits.frame, patience),
    );
    // The patience is for all of it, not for each word.
    let greeted = tokio::time::timeout(patience, greeting).await;
    match greeted.unwrap_or_else(|late| Err(late.into())) {
        Ok(claimant) => match claimants.sender.try_send(claimant) {
            Ok(()) => tracing::info!(%peer, "a next process of this site asks for everything"),
            // Another newer process is served: this one asks again.
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Closed(late)) => late.refuse().await,
        },
        Err(error) => match claimants.refusals.tells(now().0) {
            true => tracing::warn!(%error, %peer, "a hand-over was asked for and is not made"),
            false => {
                tracing::debug!(%error, %peer, "a hand-over was asked for and is not made")
            }
        },
    }
}

impl Node {
    /// Whom to tell of newer processes of this site; once.
    pub fn announce_claimants(&self, sender: mpsc::Sender<Claimant>) {
        let refusals = Seldom::new(TOLD);
        // A second call cannot happen: the composition root makes it once.
        let _ = self.claimants.set(Claimants { sender, refusals });
    }

    /// From now on others route around this site, and nothing of its queues goes to them: it is all
    /// for the next process.
    pub fn begin_succession(&self) {
        self.is_succeeded.store(true, Ordering::Release);
        self.is_leaving.store(true, Ordering::Release);
        self.control(Event::Leave);
    }

    /// Waits until nothing is under way, then says good-bye on every link.
    pub async fn end_links(&self, patience: Duration) {
        let deadline = now().plus(patience);
        while now() < deadline && !(self.custody_lock().open() == 0 && self.are_rings_empty()) {
            tokio::time::sleep(LOOK).await;
        }
        self.control(Event::Stop);
        tokio::time::sleep(LAST_WORD).await;
        self.cancel.cancel();
    }
}

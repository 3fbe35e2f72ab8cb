//! What a connection waits for before more is read from its socket: room in queues, rings and
//! memory. Nobody but the reader of a client waits for these.

use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::connection::Shared;
use super::login::verify;
use crate::broker::connections::OpenGuard;
use crate::queue::Forwarded;
use crate::wire::stomp::{Sink, encode};

/// How often a full queue is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(5);
/// What a producer waits after each batch while its queue, or the broker, is three quarters full.
const STALL: Duration = Duration::from_millis(5);
/// How long a producer that has unacknowledged messages itself waits for a full queue: its
/// acknowledgements stand behind the message it waits with.
const OWN_DEADLOCK: Duration = Duration::from_secs(1);

/// How long a full ring holds producers of what it may drop.
const FULL_HOLD: Duration = Duration::from_secs(1);
/// How long a frame may take from the moment that it grows beyond the memory there is for frames on
/// their way.
const TURN: Duration = Duration::from_secs(5);
/// How long its client may say nothing meanwhile: others wait for what it holds.
const TURN_SILENCE: Duration = Duration::from_secs(1);

/// Finishes what a batch has left: a login, a full queue. False when the connection ends.
pub(super) async fn follow_up(
    shared: &Shared,
    client: &mut Client,
    address: &str,
    cancel: &CancellationToken,
    guard: &mut OpenGuard,
) -> bool {
    loop {
        if let Some(login) = client.sink.pending_login.take() {
            verify(shared, client, login, address, cancel, guard).await;
        } else if client.sink.work.forwarded != Forwarded::Nothing {
            if !wait_for_links(client, cancel).await {
                return false;
            }
        } else if !client.sink.held.is_empty() {
            if !wait_for_room(client, cancel).await {
                return false;
            }
        } else {
            if std::mem::take(&mut client.sink.work.is_tight) {
                tokio::time::sleep(STALL).await;
            }
            return !client.sink.is_closing;
        }
        // Frames that arrived behind the login or the full queue.
        client.handle(&[]);
    }
}

/// Holds a producer while the ring of a link is full: for good where its messages must not be
/// dropped, for a second otherwise. Rule: R10. False when the connection ends.
async fn wait_for_links(client: &mut Client, cancel: &CancellationToken) -> bool {
    let _waits = Waits::note(client, "link");
    let since = Instant::now();
    let forwarded = std::mem::take(&mut client.sink.work.forwarded);
    while client.sink.broker.is_link_full()
        && (forwarded == Forwarded::Reliable || since.elapsed() < FULL_HOLD)
    {
        if timeout(RETRY, cancel.cancelled()).await.is_ok() {
            return false;
        }
    }
    true
}

async fn wait_for_room(client: &mut Client, cancel: &CancellationToken) -> bool {
    let _waits = Waits::note(client, "room");
    let since = Instant::now();
    while !client.sink.retry_held() {
        client.sink.broker.clone().settle(&mut client.sink.work);
        let has_unacked = client
            .sink
            .outbound
            .with_unacked(|unacked| !unacked.is_empty());
        if has_unacked && since.elapsed() > OWN_DEADLOCK {
            let full = client.sink.refuse_held();
            let mut frame = Vec::new();
            let text = format!("the queue is full: {full} messages were refused");
            let escaping = client.session.version().into();
            encode::error(&text, None, None, escaping, &mut frame);
            client.sink.reply(&frame);
            break;
        }
        if timeout(RETRY, cancel.cancelled()).await.is_ok() {
            return false;
        }
    }
    true
}

/// The permission of one connection at a time to read on while memory for frames on their way is
/// short: without it many half frames would wait for one another for ever.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    began: Instant,
}

/// Waits until more may be read: at once unless the client is amid a large frame and there is no
/// memory for it. False when the connection ends.
pub(super) async fn wait_for_memory(
    client: &Client,
    turn: &mut Option<Turn>,
    login_deadline: Instant,
    cancel: &CancellationToken,
) -> bool {
    if !client.is_amid_large_frame() {
        *turn = None;
        return true;
    }
    let memory = &client.sink.broker.memory;
    let is_in = client.session.is_open();
    let ledger = if is_in {
        &memory.arriving
    } else {
        &memory.before_login
    };
    let _waits = ledger.is_full_for(0).then(|| Waits::note(client, "frame"));
    while turn.is_none() && ledger.is_full_for(0) {
        let permit = async {
            match is_in {
                true => memory.turn.clone().acquire_owned().await.ok(),
                // Logins are short: whoever sends a long one waits, until its time is over.
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => return false,
            permit = permit => *turn = permit.map(Turn::new),
            () = tokio::time::sleep(RETRY) => {}
        }
        if !is_in && Instant::now() >= login_deadline {
            return false;
        }
    }
    true
}

/// A client that waits, in the metrics until it does no more.
struct Waits(IntGauge);

impl Waits {
    fn note(client: &Client, what: &str) -> Self {
        let waiting = &client.sink.broker.metrics.producers_waiting;
        let gauge = waiting.with_label_values(&[what]);
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Turn {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        Self {
            _permit: permit,
            began: Instant::now(),
        }
    }

    /// When the connection ends, if nothing was heard since `heard` and the frame is not whole.
    pub(super) fn ends(&self, heard: Instant) -> Instant {
        let silent = heard.max(self.began) + TURN_SILENCE;
        silent.min(self.began + TURN)
    }
}

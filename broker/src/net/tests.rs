//! Clients without sockets: bytes into a connection's session, bytes out of its outbound, and a real
//! broker between them.

mod counts;
mod durable;
mod expiry;
mod memory;
mod queues;
mod returned;
mod rights;
mod topics;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::login::admit;
use super::outbound::Outbound;
use crate::broker::Broker;
use crate::config::Config;
use crate::config::valid::Files;
use crate::security::authn::fingerprint;

/// The rights of the tests; `{}` is what a test adds to the file.
const BROKER: &str = r#"
format: 1
network: n
site: a
instance: 75baf888-e8ef-5714-b3bf-9a76db51ac0c
listeners:
  stomp: {bind: "127.0.0.1", port: 61613}
sites:
  - {name: a}
"#;

const RIGHTS: &str = r#"
authorization:
  entries:
    - {queue: ">", read: [all], write: [all], admin: [all]}
    - {topic: ">", read: [all], write: [all], admin: [all]}
"#;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$qXlxQtCHRJ9ebmVExRjZsA$MUcfVq+/K3S9dIwqOZetvENY/pDpDuHUEG+FqYeHaZ8";

/// A configuration with those rights and users, and a few keys more.
fn config_of(users: &[&str], rights: &str, more: &str) -> Arc<Config> {
    let listed: String = users
        .iter()
        .map(|name| format!("  - {{name: {name}, groups: [all], verifiers: [\"{HASH}\"]}}\n"))
        .collect();
    let files = Files {
        broker: format!("{BROKER}{rights}{more}").into_bytes(),
        users: format!("format: 1\nusers:\n{listed}").into_bytes(),
        secrets: b"format: 1\nadmin_token: t\n".to_vec(),
        ..Files::default()
    };
    match Config::from_files(&files) {
        Ok(config) => Arc::new(config),
        Err(problems) => panic!("{problems:?}"),
    }
}

/// A broker of two users who may do everything, with some keys added to its file.
fn broker_with(more: &str) -> Arc<Broker> {
    let config = config_of(&["alice", "bob"], RIGHTS, more);
    Arc::new(Broker::new(config, 1, [1; 16]))
}

/// One client, seen from its own side.
struct Peer {
    client: Client,
    broker: Arc<Broker>,
}

impl Peer {
    /// Logged in with STOMP 1.2; CONNECTED is read.
    fn connect(broker: &Arc<Broker>, user: &str, client_id: &str) -> Self {
        let mut peer = Self::try_connect(broker, user, client_id, "1.2");
        let said = peer.heard();
        assert!(said.starts_with("CONNECTED\n"), "{said}");
        peer
    }

    /// Whatever comes of it.
    fn try_connect(broker: &Arc<Broker>, user: &str, client_id: &str, version: &str) -> Self {
        let mut peer = Self::stranger(broker);
        peer.say(&format!(
            "CONNECT\naccept-version:{version}\nlogin:{user}\nclient-id:{client_id}\n\n\0"
        ));
        let login = peer.client.sink.pending_login.take().expect("a login");
        let identity = peer.broker.rules().identity(user).cloned();
        let cancel = CancellationToken::new();
        admit(
            &peer.broker,
            &mut peer.client,
            login,
            identity.expect("a user of the configuration"),
            fingerprint(HASH),
            "127.0.0.1:1",
            &cancel,
        );
        peer
    }

    /// Before its login.
    fn stranger(broker: &Arc<Broker>) -> Self {
        let id = broker.connections.next_id();
        let limits = broker.config().limits.clone();
        let outbound = Arc::new(Outbound::new(
            id,
            limits.outbound,
            broker.memory.clients.clone(),
        ));
        let client = Client::new(broker.clone(), outbound, limits);
        let broker = broker.clone();
        Self { client, broker }
    }

    /// Frames as text; NUL is written by the test.
    fn say(&mut self, frames: &str) {
        self.client.handle(frames.as_bytes());
    }

    /// A SUBSCRIBE with id 1 and these further headers.
    fn subscribe(&mut self, headers: &str) {
        self.say(&format!("SUBSCRIBE\nid:1\n{headers}\n\n\0"));
    }

    fn send(&mut self, destination: &str, body: &str) {
        self.send_with(destination, "", body);
    }

    /// Header lines end with a newline.
    fn send_with(&mut self, destination: &str, headers: &str, body: &str) {
        self.say(&format!(
            "SEND\ndestination:{destination}\n{headers}\n{body}\0"
        ));
    }

    /// Reads everything that was written, as a socket that takes all of it.
    fn heard(&mut self) -> String {
        let outbound = self.client.sink.outbound.clone();
        let mut all = Vec::new();
        loop {
            let work = &mut self.client.sink.work;
            while let Ok(Some((chunk, from))) = outbound.take_chunk(1) {
                all.extend_from_slice(&chunk[from..]);
                let written = chunk.len() - from;
                outbound.give_back(chunk, from, &Ok(written), &mut work.written, 1);
            }
            self.broker.settle(work);
            if outbound.pending_bytes() == 0 {
                return String::from_utf8_lossy(&all).into_owned();
            }
        }
    }

    /// The bodies of the messages that were written since the last look, which were nothing else.
    fn bodies(&mut self) -> Vec<String> {
        let heard = self.heard();
        frames(&heard)
            .map(|(head, body)| {
                assert!(head.starts_with("MESSAGE\n"), "{heard}");
                body.to_owned()
            })
            .collect()
    }

    /// The one message that was written since the last look.
    fn message(&mut self) -> Received {
        let heard = self.heard();
        let all: Vec<_> = frames(&heard).collect();
        assert_eq!(all.len(), 1, "{heard}");
        Received {
            head: all[0].0.to_owned(),
            body: all[0].1.to_owned(),
        }
    }

    /// The socket is gone.
    fn leave(mut self) {
        self.client.session.abort_all(&mut self.client.sink);
        while !self.client.sink.leave_some(1) {}
    }
}

/// A frame that a client got.
#[derive(Debug)]
struct Received {
    head: String,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }
}

/// Heads and bodies of frames without NUL in them.
fn frames(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('\0')
        .map(str::trim_start)
        .filter(|frame| !frame.is_empty())
        .map(|frame| frame.split_once("\n\n").unwrap_or((frame, "")))
}

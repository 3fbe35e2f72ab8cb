//! Both processes over a real connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::ask::Asker;
use super::take::take_within;
use super::words::{Head, Holder, Parcel, QueueHead, Section};
use super::{ALPN, Claimant, Identity, Refused, Taken, greet};
use crate::config::file::Address;
use crate::config::{Config, test_support};
use crate::link::tls::LinkTls;
use crate::net::tls::{binding, nonce};

const PATIENCE: Duration = Duration::from_secs(5);
/// How long a newer process asks here before it begins alone.
const BRIEF: Duration = Duration::from_millis(300);
const FRAME: usize = 1 << 20;

fn section(text: &'static str) -> Section {
    let parcel = Parcel {
        envelope: Bytes::from_static(text.as_bytes()),
        ..Parcel::default()
    };
    Section {
        head: Head::Queue(QueueHead {
            kind: 0,
            name: "rest".to_owned(),
        }),
        parcels: vec![parcel],
    }
}

/// A site, and an older process of it that is listening.
struct Site {
    config: Config,
    tls: LinkTls,
    listener: TcpListener,
}

impl Site {
    async fn new() -> Self {
        // The provider is process-wide; another test may have installed the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut config = test_support::config(&test_support::files());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        config.broker.handover = Some(Address {
            host: address.ip().to_string(),
            port: address.port(),
        });
        let tls = LinkTls::new(&config).expect("TLS");
        Self {
            config,
            tls,
            listener,
        }
    }

    async fn take(&self) -> Result<Taken, Refused> {
        take_within(BRIEF, &self.config, &self.tls.client).await
    }

    /// Hears the next newer process that asks.
    async fn greet(&self, identity: Option<&Identity>) -> std::io::Result<Claimant> {
        let (stream, _) = self.listener.accept().await?;
        let address = stream.local_addr()?.to_string();
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls.server));
        let stream = acceptor.accept(stream).await?;
        let (_, session) = stream.get_ref();
        assert_eq!(session.alpn_protocol(), Some(ALPN));
        let binding = binding(session);
        let holder = Holder {
            epoch: 7,
            nonce: nonce().to_vec(),
            address,
            proof: Vec::new(),
        };
        let times = (FRAME, PATIENCE);
        greet(stream, (identity, holder), binding.as_ref(), times).await
    }

    async fn claimant(&self) -> Claimant {
        let identity = Identity::of(&self.config);
        self.greet(identity.as_ref()).await.expect("a claimant")
    }
}

fn texts(taken: &Taken) -> Vec<(&[u8], bool)> {
    let parcels = taken.sections.iter().flat_map(|one| &one.parcels);
    parcels
        .map(|one| (one.envelope.as_ref(), one.redelivered))
        .collect()
}

#[tokio::test]
async fn what_the_older_process_has_cleared_is_taken_as_it_was() {
    let site = Site::new().await;
    let give = async {
        let given = site.claimant().await.give([section("a")].into_iter()).await;
        given.expect("taken").release().await;
    };
    let (taken, ()) = tokio::join!(site.take(), give);
    let taken = taken.expect("taken");
    assert_eq!(texts(&taken), [(&b"a"[..], false)]);
    assert_eq!(taken.epoch, 7);
}

#[tokio::test]
async fn who_does_not_hear_that_the_older_process_has_cleared_asks_again() {
    let site = Site::new().await;
    let give = async {
        // It goes on, as one that waited for too long.
        drop(
            site.claimant()
                .await
                .give([section("old")].into_iter())
                .await,
        );
        let given = site
            .claimant()
            .await
            .give([section("new")].into_iter())
            .await;
        given.expect("taken").release().await;
    };
    let (taken, ()) = tokio::join!(site.take(), give);
    assert_eq!(texts(&taken.expect("taken")), [(&b"new"[..], false)]);
}

#[tokio::test]
async fn what_may_be_elsewhere_too_is_flagged_redelivered() {
    let site = Site::new().await;
    let (config, client) = (site.config.clone(), site.tls.client.clone());
    let taking = tokio::spawn(async move { take_within(BRIEF, &config, &client).await });
    drop(site.claimant().await.give([section("a")].into_iter()).await);
    // Another one took everything meanwhile.
    drop(site);
    let taken = taking.await.expect("a task").expect("taken");
    assert_eq!(texts(&taken), [(&b"a"[..], true)]);
}

#[tokio::test]
async fn what_had_arrived_when_the_older_process_died_is_kept_and_flagged() {
    let site = Site::new().await;
    let (config, client) = (site.config.clone(), site.tls.client.clone());
    let taking = tokio::spawn(async move { take_within(BRIEF, &config, &client).await });
    let mut first = Some(section("a"));
    // More than is gathered before it is sent, and then its end.
    let long = Bytes::from(vec![b'x'; 1 << 20]);
    first.iter_mut().for_each(|one| {
        let long = Parcel {
            envelope: long.clone(),
            ..Parcel::default()
        };
        one.parcels.push(long);
    });
    let dies = std::iter::from_fn(move || Some(first.take().expect("the older process dies here")));
    let claimant = site.claimant().await;
    let given = tokio::spawn(claimant.give(dies)).await;
    assert!(given.is_err(), "it was to die");
    // Asked again it dies before anything has come.
    drop(site.claimant().await);
    drop(site);
    let taken = taking.await.expect("a task").expect("taken");
    let flags: Vec<bool> = texts(&taken).into_iter().map(|one| one.1).collect();
    assert_eq!(flags, [true, true]);
}

#[tokio::test]
async fn who_asks_after_another_one_ends_instead_of_being_a_second_claim() {
    let site = Site::new().await;
    let refuse = async { site.claimant().await.refuse().await };
    let (taken, ()) = tokio::join!(site.take(), refuse);
    let refused = taken.expect_err("nothing is given").to_string();
    assert!(
        refused.ends_with("it has handed over to another process, which runs this site now"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_tried_again_and_told() {
    let site = Site::new().await;
    let identity = Identity::of(&site.config).expect("an identity");
    let address = "no-such-host.invalid:61618".to_owned();
    let mut asker = Asker::new(address.clone(), identity, &site.tls.client, BRIEF);
    let error = asker.attempt(&address).await.expect_err("nobody is there");
    assert_ne!(error.to_string(), "nobody answers");
}

#[tokio::test]
async fn an_older_process_without_a_token_says_so() {
    let site = Site::new().await;
    let (taken, greeted) = tokio::join!(site.take(), site.greet(None));
    let refused = taken.expect_err("nothing is given").to_string();
    assert!(
        refused.ends_with("gives nothing: the older process has no admin token"),
        "{refused}"
    );
    let refused = greeted.expect_err("nothing is given").to_string();
    assert_eq!(refused, "the older process has no admin token");
}

#[tokio::test]
async fn both_processes_hear_that_their_tokens_differ() {
    let site = Site::new().await;
    let mut other = site.config.clone();
    other.secrets.admin_token = Some("another".to_owned());
    let other = Identity::of(&other);
    let (taken, greeted) = tokio::join!(site.take(), site.greet(other.as_ref()));
    let refused = taken.expect_err("nothing is given").to_string();
    assert!(
        refused.ends_with("gives nothing: it has another admin token"),
        "{refused}"
    );
    let refused = greeted.expect_err("nothing is given").to_string();
    assert_eq!(refused, "it has another admin token");
}

#[tokio::test]
async fn a_port_that_speaks_something_else_is_named_as_that() {
    use tokio::io::AsyncWriteExt as _;
    let site = Site::new().await;
    let address = site.listener.local_addr().expect("an address").to_string();
    let mut asker = Asker::new(
        address.clone(),
        Identity::of(&site.config).expect("an identity"),
        &site.tls.client,
        BRIEF,
    );
    let answer = async {
        let (mut stream, _) = site.listener.accept().await.expect("a connection");
        stream
            .write_all(b"ERROR\nmessage:what\n\n\0")
            .await
            .expect("said");
        stream
    };
    let (asked, _stream) = tokio::join!(asker.attempt(&address), answer);
    let error = asked.expect_err("nothing is given").to_string();
    assert!(error.contains("speaks no TLS"), "{error}");
}

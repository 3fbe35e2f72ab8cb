//! The newer process: finds the older one, and asks it for everything.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::ALPN;
use super::channel::Channel;
use super::greeting::Identity;
use super::take::Refused;
use super::words::{Head, Section, Word};
use crate::net::tls;

/// How long the older process may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// Whoever does not answer within this time is not there.
const CONNECT: Duration = Duration::from_secs(2);
/// Pause before the older process is dialled again.
const AGAIN: Duration = Duration::from_millis(200);

/// The older process may have taken longer words from its clients than this one would.
const LONGEST: usize = 1 << 30;

/// Everything, from an older process that has it too.
#[derive(Debug)]
pub(super) struct Stock {
    pub(super) sections: Vec<Section>,
    /// How many messages these are.
    pub(super) count: u64,
    /// It waits there to hear that they have arrived.
    pub(super) channel: Channel,
}

/// Why an attempt came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody runs this site.
    #[error("nobody answers")]
    Nobody,
    /// Whoever answers gives nothing.
    #[error("refused: {0}")]
    Refused(String),
    /// The connection ended.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

/// Asks, and keeps what is known of the older process over all attempts.
pub(super) struct Asker {
    /// Where the configuration says that it is.
    declared: String,
    identity: Identity,
    connector: TlsConnector,
    /// When nothing has come of it for so long this process begins without the older one.
    patience: Duration,
    epoch: u64,
    /// Where it is reached itself, once it closes everything else.
    address: Option<String>,
    /// What had arrived when it went away in the midst of giving.
    partial: Vec<Section>,
}

impl Asker {
    pub(super) fn new(
        declared: String,
        identity: Identity,
        client: &ClientConfig,
        patience: Duration,
    ) -> Self {
        let mut client = client.clone();
        client.alpn_protocols = vec![ALPN.to_vec()];
        Self {
            declared,
            identity,
            connector: TlsConnector::from(Arc::new(client)),
            patience,
            epoch: 0,
            address: None,
            partial: Vec::new(),
        }
    }

    /// The largest epoch that was heard of; 0 = none.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What there is of a stock that did not arrive whole.
    pub(super) fn into_partial(self) -> Vec<Section> {
        self.partial
    }

    /// Asks until everything is here; absent: nobody is there, or nothing has come of it for too long.
    ///
    /// # Errors
    /// Somebody is there and gives nothing.
    pub(super) async fn ask(&mut self) -> Result<Option<Stock>, Refused> {
        let (mut failing, mut told) = (None, String::new());
        loop {
            let address = self.address.as_ref().unwrap_or(&self.declared).clone();
            let failure = match self.attempt(&address).await {
                Ok(stock) => return Ok(Some(stock)),
                Err(Failure::Nobody) if self.address.is_none() => {
                    tracing::info!(%address, "nobody runs this site: there is nothing to take over");
                    return Ok(None);
                }
                Err(Failure::Refused(why)) => return Err(Refused { address, why }),
                Err(failure) => failure,
            };
            let since = *failing.get_or_insert_with(Instant::now);
            if since.elapsed() >= self.patience {
                tracing::warn!(%address, %failure, "nothing was taken over from the process before this one");
                return Ok(None);
            }
            let now = failure.to_string();
            if now != told {
                tracing::info!(%address, failure = now, "a hand-over is tried again");
                told = now;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Asks once.
    pub(super) async fn attempt(&mut self, address: &str) -> Result<Stock, Failure> {
        // A name that leads nowhere is a mistake or a name server that is away: somebody may be there.
        let found = tokio::net::lookup_host(address).await?;
        let found: Vec<_> = found.collect();
        let connected = tokio::time::timeout(CONNECT, TcpStream::connect(&*found)).await;
        let Ok(Ok(stream)) = connected else {
            return Err(Failure::Nobody);
        };
        // Who is there is proved by the token; the name stands for nothing.
        let name = ServerName::IpAddress(std::net::Ipv6Addr::LOCALHOST.into());
        let handshake = self.connector.connect(name, stream);
        let stream = tokio::time::timeout(CONNECT, handshake)
            .await
            .map_err(io::Error::from)?
            .map_err(not_tls)?;
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN) {
            return Err(Failure::Refused("it knows no hand-over".to_owned()));
        }
        let binding = tls::binding(session);
        let channel = Channel::new(stream, SILENCE);
        self.converse(channel, binding.as_ref()).await
    }

    async fn converse(
        &mut self,
        mut channel: Channel,
        binding: Option<&[u8; 32]>,
    ) -> Result<Stock, Failure> {
        let claim = self.identity.claim(tls::nonce());
        channel.tell(Word::Claim(claim.clone())).await?;
        let holder = match channel.hear().await? {
            Word::Holder(holder) => holder,
            Word::Refused(why) => return Err(Failure::Refused(why)),
            _ => return Err(broken().into()),
        };
        let proof = match self.identity.prove(&claim, &holder, binding) {
            Ok(proof) => proof,
            Err(stranger) => {
                let why = stranger.to_string();
                // That it is refused is its news too; whether it hears it changes nothing here.
                let _ = channel.tell(Word::Refused(why.clone())).await;
                return Err(Failure::Refused(why));
            }
        };
        channel.tell(Word::Proof(proof)).await?;
        self.epoch = self.epoch.max(holder.epoch);
        channel.trust(LONGEST, SILENCE);
        let mut sections = Vec::new();
        match self
            .receive(&mut channel, holder.address, &mut sections)
            .await
        {
            Ok(count) => Ok(Stock {
                sections,
                count,
                channel,
            }),
            Err(failure) => {
                // Another attempt may end before as much has arrived.
                if count(&sections) > count(&self.partial) {
                    self.partial = sections;
                }
                Err(failure)
            }
        }
    }

    async fn receive(
        &mut self,
        channel: &mut Channel,
        address: String,
        sections: &mut Vec<Section>,
    ) -> Result<u64, Failure> {
        let mut count = 0;
        loop {
            let word = channel.hear().await?;
            // It closes everything from here on, and no name leads to it any more.
            self.address.get_or_insert_with(|| address.clone());
            let head = match word {
                Word::Patience(_) => continue,
                Word::Refused(why) => return Err(Failure::Refused(why)),
                Word::Queue(head) => Head::Queue(head),
                Word::Durable(head) => Head::Durable(head),
                Word::Message(parcel) => {
                    let section = sections.last_mut().ok_or_else(broken)?;
                    section.parcels.push(parcel);
                    count += 1;
                    continue;
                }
                Word::Done(given) if given == count => return Ok(count),
                _ => return Err(broken().into()),
            };
            sections.push(Section {
                head,
                parcels: Vec::new(),
            });
        }
    }
}

/// How many messages there are.
pub(super) fn count(sections: &[Section]) -> usize {
    sections.iter().map(|one| one.parcels.len()).sum()
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Whoever answers in another protocol listens at another port than that for links.
fn not_tls(error: io::Error) -> io::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    match tls {
        Some(rustls::Error::InvalidMessage(_)) => io::Error::new(
            error.kind(),
            "whoever answers there speaks no TLS: it should be the link port of this site",
        ),
        _ => error,
    }
}

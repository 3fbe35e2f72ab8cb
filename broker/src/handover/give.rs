//! The older process: hears who asks, and gives.

use std::future::Future;
use std::io;
use std::time::Duration;

use super::channel::{Channel, Stream};
use super::greeting::{Identity, Stranger};
use super::words::{Claim, Head, Holder, Patience, Section, Word};

/// A sign of life while clients and links are closed.
const SIGN: Duration = Duration::from_secs(1);
/// What a process hears that asks after another one.
const LATE: &str = "it has handed over to another process, which runs this site now";
/// How long the newer process may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// A newer process of this site that has proved itself.
#[derive(Debug)]
pub struct Claimant {
    channel: Channel,
}

/// Hears who asks at the link port, within `patience` for each word; `identity`: absent without an admin
/// token, which is what is proved. `frame`: bytes of the longest frame of clients.
///
/// # Errors
/// The connection ends, or somebody else asks; that one is told so.
pub async fn greet(
    stream: impl Stream + 'static,
    (identity, holder): (Option<&Identity>, Holder),
    binding: Option<&[u8; 32]>,
    (frame, patience): (usize, Duration),
) -> io::Result<Claimant> {
    let mut channel = Channel::new(stream, patience);
    let Word::Claim(claim) = channel.hear().await? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    match believe(&mut channel, (identity, holder), &claim, binding).await? {
        Ok(()) => {
            channel.trust(frame, SILENCE);
            channel.tell(Word::Patience(Patience {})).await?;
            Ok(Claimant { channel })
        }
        Err(stranger) => {
            channel.tell(Word::Refused(stranger.to_string())).await?;
            Err(io::Error::new(io::ErrorKind::PermissionDenied, stranger))
        }
    }
}

async fn believe(
    channel: &mut Channel,
    (identity, holder): (Option<&Identity>, Holder),
    claim: &Claim,
    binding: Option<&[u8; 32]>,
) -> io::Result<Result<(), Stranger>> {
    let Some(identity) = identity else {
        return Ok(Err(Stranger::NoToken));
    };
    let holder = match identity.answer(claim, holder, binding) {
        Ok(holder) => holder,
        Err(stranger) => return Ok(Err(stranger)),
    };
    channel.tell(Word::Holder(holder.clone())).await?;
    match channel.hear().await? {
        Word::Proof(proof) => Ok(identity.check(claim, &holder, binding, &proof)),
        Word::Refused(_) => Ok(Err(Stranger::OtherToken)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

impl Claimant {
    /// Says that it goes on, once in a second, until `work` is done. Whether the newer process hears
    /// it is found out when it is given something.
    pub async fn hold<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut is_there = true;
        loop {
            if let Ok(done) = tokio::time::timeout(SIGN, &mut work).await {
                return done;
            }
            if is_there {
                is_there = self.channel.tell(Word::Patience(Patience {})).await.is_ok();
            }
        }
    }

    /// Says that another one got everything. Whoever began beside that one would be a second claim to the site.
    pub async fn refuse(mut self) {
        // Whoever is gone needs no answer.
        let _ = self.channel.tell(Word::Refused(LATE.to_owned())).await;
    }

    /// Gives everything. The newer process has it then, and answers for it when it hears that nobody
    /// else has.
    ///
    /// # Errors
    /// It is gone, and whatever it has is nothing to it.
    pub async fn give(mut self, sections: impl Iterator<Item = Section>) -> io::Result<Given> {
        let mut given = 0;
        for section in sections {
            self.channel
                .say(match section.head {
                    Head::Queue(head) => Word::Queue(head),
                    Head::Durable(head) => Word::Durable(head),
                })
                .await?;
            for parcel in section.parcels {
                self.channel.say(Word::Message(parcel)).await?;
                given += 1;
            }
        }
        self.channel.tell(Word::Done(given)).await?;
        match self.channel.hear().await? {
            Word::Taken(taken) if taken == given => Ok(Given {
                channel: self.channel,
                messages: given,
            }),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Everything, with the newer process, which waits to hear that nobody else has it.
#[derive(Debug)]
pub struct Given {
    channel: Channel,
    /// How many messages.
    pub messages: u64,
}

impl Given {
    /// Says that this process has nothing of it any more.
    pub async fn release(mut self) {
        // Whoever does not hear it finds nobody to ask again, and knows what that may mean.
        let _ = self.channel.tell(Word::Cleared(self.messages)).await;
    }
}

//! Words over a connection.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::words::Word;

/// Longest word before the other side is proved.
pub(super) const SHORT: usize = 16 << 10;
/// A message may be this much longer than the largest client frame.
pub(super) const EXTRA: usize = 64 << 10;
/// Bytes written at once.
const BATCH: usize = 64 << 10;

/// A connection of either side.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Says and hears words.
pub(super) struct Channel {
    stream: Box<dyn Stream>,
    read: BytesMut,
    written: BytesMut,
    /// Longest word that is heard.
    limit: usize,
    /// How long the other side may be silent, or read nothing.
    patience: Duration,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Channel").finish_non_exhaustive()
    }
}

impl Channel {
    pub(super) fn new(stream: impl Stream + 'static, patience: Duration) -> Self {
        Self {
            stream: Box::new(stream),
            read: BytesMut::new(),
            written: BytesMut::new(),
            limit: SHORT,
            patience,
        }
    }

    /// From now on words may be as long as a message of clients, and the other side may be silent
    /// for so long.
    pub(super) fn trust(&mut self, frame: usize, patience: Duration) {
        self.limit = frame.saturating_add(EXTRA);
        self.patience = patience;
    }

    /// Says a word, at the latest with the next flush.
    pub(super) async fn say(&mut self, word: Word) -> io::Result<()> {
        let body = word.into_bytes();
        let len = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.written.put_u32(len);
        self.written.put_slice(&body);
        if self.written.len() < BATCH {
            return Ok(());
        }
        self.flush().await
    }

    /// Says what was not said yet.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.written.is_empty() {
            let writing = self.stream.write(&self.written);
            let count = tokio::time::timeout(self.patience, writing).await??;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.written.advance(count);
        }
        tokio::time::timeout(self.patience, self.stream.flush()).await?
    }

    /// Says a word now.
    pub(super) async fn tell(&mut self, word: Word) -> io::Result<()> {
        self.say(word).await?;
        self.flush().await
    }

    /// The next word.
    pub(super) async fn hear(&mut self) -> io::Result<Word> {
        loop {
            if let Some(body) = self.next()? {
                return Word::from_bytes(body).ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            let reading = self.stream.read_buf(&mut self.read);
            if tokio::time::timeout(self.patience, reading).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Nothing is reserved by a declared length.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(len) = self.read.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
        if len > self.limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.read.len() < 4 + len {
            return Ok(None);
        }
        self.read.advance(4);
        Ok(Some(self.read.split_to(len).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn words_arrive_in_order_however_the_bytes_are_cut() {
        let (near, far) = tokio::io::duplex(3);
        let (mut near, mut far) = (Channel::new(near, PATIENCE), Channel::new(far, PATIENCE));
        let words: Vec<Word> = (0..50).map(Word::Done).collect();
        let said = words.clone();
        let saying = tokio::spawn(async move {
            for word in said {
                near.say(word).await?;
            }
            near.flush().await
        });
        for word in words {
            assert_eq!(far.hear().await.expect("a word"), word);
        }
        saying.await.expect("a task").expect("said");
        let end = far.hear().await.expect_err("the end").kind();
        assert_eq!(end, io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_word_may_be_as_long_as_the_limit_and_not_longer() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (mut near, mut far) = (Channel::new(near, PATIENCE), Channel::new(far, PATIENCE));
        // One byte of tag, two of length.
        let proof = |len: usize| Word::Proof(vec![0; len - 3]);
        assert_eq!(proof(SHORT).into_bytes().len(), SHORT);
        near.tell(proof(SHORT)).await.expect("said");
        assert_eq!(far.hear().await.expect("a word"), proof(SHORT));
        near.tell(proof(SHORT + 1)).await.expect("said");
        let error = far.hear().await.expect_err("too long").kind();
        assert_eq!(error, io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn silence_ends_the_connection() {
        let (near, _far) = tokio::io::duplex(64);
        let mut near = Channel::new(near, Duration::from_millis(20));
        let error = near.hear().await.expect_err("silence").kind();
        assert_eq!(error, io::ErrorKind::TimedOut);
    }
}

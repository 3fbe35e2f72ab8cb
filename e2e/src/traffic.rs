//! A steady stream of numbered messages from one site to another, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::client::Client;
use crate::network::Network;
use crate::wait;

const WARM_UP: &str = "warm-up";

/// A stream under way; [`Traffic::finish`] ends it and tells what happened.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    publisher: JoinHandle<Result<Vec<Instant>>>,
    subscriber: JoinHandle<Result<Vec<(u64, Instant)>>>,
}

impl Traffic {
    /// Starts a stream on a topic; returns once the way is known from end to end.
    ///
    /// # Errors
    /// No connection, or nothing arrives.
    pub fn start(
        network: &Network,
        ends: (&str, &str),
        user: &str,
        topic: &str,
        interval: Duration,
    ) -> Result<Self> {
        let subscriber = network.connect(ends.1, user)?;
        let publisher = network.connect(ends.0, user)?;
        Self::between(publisher, subscriber, topic, interval)
            .with_context(|| format!("from {} to {}", ends.0, ends.1))
    }

    /// The same from one connection to another, wherever those lead.
    ///
    /// # Errors
    /// Nothing arrives.
    pub fn between(
        mut publisher: Client,
        mut subscriber: Client,
        topic: &str,
        interval: Duration,
    ) -> Result<Self> {
        subscriber.subscribe("traffic", topic, &[])?;
        let what = "a message to find its way";
        wait::until(what, wait::PATIENCE, || {
            publisher.send(topic, &[], WARM_UP)?;
            subscriber.receive(Duration::from_millis(100))
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (halt, count, topic) = (Arc::clone(&stop), Arc::clone(&sent), topic.to_owned());
        let publisher =
            std::thread::spawn(move || publish(publisher, &topic, interval, &halt, &count));
        let (halt, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let subscriber = std::thread::spawn(move || subscribe(subscriber, &halt, &count));
        Ok(Self {
            stop,
            sent,
            publisher,
            subscriber,
        })
    }

    /// How many messages were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Waits until so many more messages were sent.
    ///
    /// # Errors
    /// The publisher stands still.
    pub fn go_on(&self, messages: u64) -> Result<()> {
        let goal = self.sent() + messages;
        wait::until("the publisher to go on", wait::PATIENCE, || {
            Ok((self.sent() >= goal).then_some(()))
        })
    }

    /// Stops publishing, waits for what is under way, and reports.
    ///
    /// # Errors
    /// One of the two connections broke.
    pub fn finish(self) -> Result<Report> {
        self.stop.store(true, Ordering::SeqCst);
        let died = |_| anyhow!("a traffic thread panicked");
        let sent = self.publisher.join().map_err(died)??;
        let received = self.subscriber.join().map_err(died)??;
        Ok(Report { sent, received })
    }
}

fn publish(
    mut client: Client,
    topic: &str,
    interval: Duration,
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Result<Vec<Instant>> {
    let mut sent = Vec::new();
    let mut next = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let at = Instant::now();
        client.send(topic, &[], &sent.len().to_string())?;
        sent.push(at);
        count.store(u64::try_from(sent.len())?, Ordering::SeqCst);
        next += interval;
    }
    client.disconnect()?;
    Ok(sent)
}

fn subscribe(
    mut client: Client,
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Result<Vec<(u64, Instant)>> {
    let mut received = Vec::new();
    let mut last = Instant::now();
    loop {
        let frame = client.receive(Duration::from_millis(50))?;
        let at = Instant::now();
        match frame {
            Some(frame) if frame.text() == WARM_UP => last = at,
            Some(frame) => {
                ensure!(frame.command == "MESSAGE", "unexpected {frame:?}");
                received.push((frame.text().parse()?, at));
                last = at;
            }
            None => {}
        }
        let all = count.load(Ordering::SeqCst);
        // The quiet time at the end is for duplicates when all arrived, and for late ones when not.
        let quiet = if u64::try_from(received.len())? >= all {
            500
        } else {
            3_000
        };
        if stop.load(Ordering::SeqCst) && last.elapsed() > Duration::from_millis(quiet) {
            return Ok(received);
        }
    }
}

/// What became of a stream.
#[derive(Debug)]
pub struct Report {
    /// When each message was sent; its number is its place.
    pub sent: Vec<Instant>,
    /// Numbers in the order of their arrival.
    pub received: Vec<(u64, Instant)>,
}

impl Report {
    /// Numbers that never arrived.
    #[must_use]
    pub fn lost(&self) -> Vec<usize> {
        let counts = self.counts();
        (0..self.sent.len())
            .filter(|number| !counts.contains_key(number))
            .collect()
    }

    /// Numbers that arrived more than once.
    #[must_use]
    pub fn duplicates(&self) -> Vec<usize> {
        let counts = self.counts();
        let twice = counts.into_iter().filter(|(_, count)| *count > 1);
        twice.map(|(number, _)| number).collect()
    }

    /// The longest time without a delivery that overlaps the span.
    #[must_use]
    pub fn longest_pause(&self, from: Instant, to: Instant) -> Duration {
        self.received
            .windows(2)
            .map(|two| (two[0].1, two[1].1))
            .filter(|(before, after)| *after >= from && *before <= to)
            .map(|(before, after)| after - before)
            .max()
            .unwrap_or_default()
    }

    /// Fails unless everything sent arrived once.
    ///
    /// # Errors
    /// With the numbers.
    pub fn complete(&self) -> Result<()> {
        let (lost, duplicates) = (self.lost(), self.duplicates());
        ensure!(
            lost.is_empty() && duplicates.is_empty(),
            "of {} messages lost {lost:?}, twice {duplicates:?}",
            self.sent.len()
        );
        Ok(())
    }

    fn counts(&self) -> BTreeMap<usize, u32> {
        let mut counts = BTreeMap::new();
        for (number, _) in &self.received {
            // A number that does not fit was never sent, and cannot come back.
            *counts
                .entry(usize::try_from(*number).unwrap_or(usize::MAX))
                .or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_and_doubled_numbers_are_told() {
        let now = Instant::now();
        let report = Report {
            sent: vec![now; 4],
            received: vec![(0, now), (2, now), (2, now), (3, now)],
        };
        assert_eq!((report.lost(), report.duplicates()), (vec![1], vec![2]));
        assert!(report.complete().is_err());
    }

    #[test]
    fn a_pause_counts_where_it_overlaps_the_span() {
        let at = |ms| Instant::now() + Duration::from_millis(ms);
        let (a, b, c) = (at(0), at(500), at(510));
        let report = Report {
            sent: vec![a],
            received: vec![(0, a), (1, b), (2, c)],
        };
        assert!(report.longest_pause(at(100), at(200)) >= Duration::from_millis(490));
        assert!(report.longest_pause(at(505), at(600)) <= Duration::from_millis(15));
    }
}

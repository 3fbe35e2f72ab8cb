//! Byte streams between brokers: segments of random size, each with a delay, in order. A stream
//! that stalls keeps what it carries; one that is reset forgets it.

use std::collections::VecDeque;
use std::time::Duration;

use causeway_broker::mesh::event::CloseCause;
use causeway_broker::mesh::ids::{ConnId, Now};
use causeway_broker::mesh::random::Random;

use super::topology::below;

/// Bytes that a stream takes before its writer has to wait: socket buffers of both ends.
pub const WINDOW: usize = 256 << 10;

/// One end of a stream.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// The broker.
    pub at: usize,
    /// Its process.
    pub life: u32,
    /// The number that it gave the connection.
    pub conn: ConnId,
    /// Not closed by this end.
    pub is_open: bool,
}

/// What a stream carries.
#[derive(Debug)]
pub enum Segment {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The end.
    End(CloseCause),
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub struct Direction {
    /// When the last byte has left.
    pub busy: Now,
    /// When the last segment arrives; the next one is not before it.
    pub last: Now,
    /// Bytes written and not read.
    pub waiting: usize,
    /// What arrived while the direction was stalled.
    pub held: VecDeque<Segment>,
    /// A reset came: what is on the way never arrives.
    pub is_void: bool,
}

/// A stream between two brokers.
#[derive(Debug)]
pub struct Pipe {
    /// The dialler and the acceptor.
    pub ends: [End; 2],
    /// From each of them to the other.
    pub directions: [Direction; 2],
    /// One-way delay.
    pub delay: Duration,
}

impl Pipe {
    /// When a segment that is written now arrives; `spent` is the time its bytes take to leave.
    pub fn arrival(&mut self, side: usize, now: Now, spent: Duration, random: &mut Random) -> Now {
        let jitter = random.up_to(self.delay / 2);
        let direction = &mut self.directions[side];
        direction.busy = direction.busy.max(now).plus(spent);
        let time = direction.busy.plus(self.delay + jitter);
        direction.last = direction.last.max(time);
        direction.last
    }
}

/// Cuts what is written into segments: mostly whole, sometimes in a few pieces, sometimes the
/// beginning byte by byte, so that headers are torn.
pub fn cut(mut bytes: Vec<u8>, random: &mut Random) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    let most = match below(random, 10) {
        0 => 7,
        1..=3 => bytes.len() / 3 + 2,
        _ => return vec![bytes],
    };
    while bytes.len() > 1 && segments.len() < 12 {
        let size = (1 + below(random, most)).min(bytes.len());
        let rest = bytes.split_off(size);
        segments.push(std::mem::replace(&mut bytes, rest));
    }
    if !bytes.is_empty() {
        segments.push(bytes);
    }
    segments
}

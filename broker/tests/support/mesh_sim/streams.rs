//! The ends of streams: dial, accept, read and write, in the order of `link::io`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use causeway_broker::link::conn::Conn;
use causeway_broker::link::io::SIGN_GAP;
use causeway_broker::mesh::custody;
use causeway_broker::mesh::event::{CloseCause, ControlFrame, DialFailure, Event, Transport};
use causeway_broker::mesh::frame::{
    Admission, FrameError, FrameType, HEADER_LEN, Header, Limits, Phase, Reassembly, decode_lack,
};
use causeway_broker::mesh::ids::{ClaimId, ConnId, LinkId, Now};
use tokio_util::sync::CancellationToken;

use super::network::{Direction, End, Pipe, Segment, cut};
use super::world::{Sabotage, Task, World};

/// How long a dial may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the peer may take to close after the last frame.
const LAST_WORD: Duration = Duration::from_secs(1);
/// When an acknowledgement is due after a frame.
const LACK: Duration = Duration::from_micros(20_010);
/// Longest frame of a client.
const CLIENT_FRAME: usize = 1 << 20;

/// A stream as its broker serves it.
#[derive(Debug)]
pub struct Serving {
    conn: Arc<Conn>,
    /// The stream, by number.
    pub pipe: usize,
    side: usize,
    reassembly: Reassembly,
    limits: Limits,
    link: Option<LinkId>,
    buffer: BytesMut,
    is_up: bool,
    told: Now,
    /// The reader ended with an error and waits for the end.
    is_broken: bool,
    unwritten: Vec<u8>,
    is_last: bool,
    has_data: bool,
    is_shut: bool,
    wakes: bool,
    /// Map and interest frames queued so far.
    pub queued: u64,
    /// Those that are not written yet, by number, and what they replace (I9).
    pub unsaid: VecDeque<(u64, Option<(FrameType, ClaimId)>)>,
}

impl Serving {
    /// A map or interest frame is queued; an older one about the same claim may be dropped for it.
    pub fn queue(&mut self, replaces: Option<(FrameType, ClaimId)>) {
        if replaces.is_some() {
            self.unsaid.retain(|(_, older)| *older != replaces);
        }
        self.queued += 1;
        self.unsaid.push_back((self.queued, replaces));
    }
}

impl World {
    /// Dials the broker of that name for a link.
    pub fn dial(&mut self, from: usize, link: LinkId, host: &str) {
        let Some(to) = self.names.iter().position(|name| name == host) else {
            return;
        };
        let Some(life) = self.life(from) else { return };
        let is_dark = self.is_dark(from, to) || self.is_dark(to, from);
        let time = if is_dark {
            CONNECT
        } else {
            self.delay(from, to) * 2
        };
        let task = Task::Connect {
            from,
            to,
            life,
            link,
            is_dark,
        };
        self.clock.after(time, task);
    }

    /// A dial comes to its end.
    pub fn connect(&mut self, from: usize, to: usize, life: u32, link: LinkId, is_dark: bool) {
        if self.life(from) != Some(life) {
            return;
        }
        let Some(far_life) = self.life(to).filter(|_| !is_dark) else {
            let why = DialFailure::Unreachable;
            return self.control(from, Event::DialFailed { link, why });
        };
        let (near, far) = (self.new_conn(), self.new_conn());
        let pipe = self.pipes.len();
        let end = |at, life, conn| End {
            at,
            life,
            conn,
            is_open: true,
        };
        self.pipes.push(Pipe {
            ends: [end(from, life, near), end(to, far_life, far)],
            directions: [Direction::default(), Direction::default()],
            delay: self.delay(from, to),
        });
        let mut binding = [0; 32];
        binding[..8].copy_from_slice(&near.0.to_be_bytes());
        self.open(to, far, pipe, 1);
        self.strike_newer(pipe);
        let transport = self.transport(binding, far, to, from);
        let conn = far;
        self.control(to, Event::Accepted { conn, transport });
        self.open(from, near, pipe, 0);
        let (transport, conn) = (self.transport(binding, near, from, to), near);
        let event = Event::Dialled {
            link,
            conn,
            transport,
        };
        self.control(from, event);
    }

    fn transport(&mut self, binding: [u8; 32], conn: ConnId, own: usize, peer: usize) -> Transport {
        let mut nonce = [7; 32];
        nonce[..8].copy_from_slice(&conn.0.to_le_bytes());
        nonce[8..16].copy_from_slice(&self.net_random.number().to_le_bytes());
        let config = &self.configs[own];
        let takes_certificates = config.auth.takes_certificates();
        Transport {
            verified: takes_certificates.then(|| config.identity(&self.names[peer])),
            has_certificate: takes_certificates,
            tls: config.tls,
            binding: Some(binding),
            nonce,
            ..Transport::default()
        }
    }

    fn open(&mut self, at: usize, id: ConnId, pipe: usize, side: usize) {
        let conn = Arc::new(Conn::new(id, CancellationToken::new()));
        let limits = Limits::for_client_frame(CLIENT_FRAME);
        let serving = Serving {
            conn: conn.clone(),
            pipe,
            side,
            reassembly: Reassembly::new(limits.fwd),
            limits,
            link: None,
            buffer: BytesMut::new(),
            is_up: false,
            told: Now(0),
            is_broken: false,
            unwritten: Vec::new(),
            is_last: false,
            has_data: false,
            is_shut: false,
            wakes: false,
            queued: 0,
            unsaid: VecDeque::new(),
        };
        if let Some(broker) = self.brokers[at].as_mut() {
            broker.conns.insert(id, conn);
            broker.serving.insert(id, serving);
        }
    }

    /// A stream that a broker serves.
    pub fn serving(&mut self, at: usize, conn: ConnId) -> Option<&mut Serving> {
        self.brokers[at].as_mut()?.serving.get_mut(&conn)
    }

    /// Wakes the writer of a connection. It runs a moment later, as a task does.
    pub fn wake(&mut self, at: usize, conn: ConnId) {
        let pause = self.net_random.up_to(Duration::from_micros(40));
        if let Some(serving) = self.serving(at, conn)
            && !serving.wakes
        {
            serving.wakes = true;
            self.clock.after(pause, Task::Write { at, conn });
        }
    }

    /// The writer of a connection runs until it has to wait.
    pub fn write(&mut self, at: usize, conn: ConnId) {
        let now = self.clock.now();
        let mut batch = Vec::new();
        if let Some(serving) = self.serving(at, conn) {
            serving.wakes = false;
        }
        loop {
            if !self.flush(at, conn) {
                return;
            }
            let Some(serving) = self.serving(at, conn).filter(|serving| !serving.is_shut) else {
                return;
            };
            if serving.is_last {
                serving.is_shut = true;
                let (pipe, side) = (serving.pipe, serving.side);
                self.push(pipe, side, Segment::End(CloseCause::Closed));
                return self.clock.after(LAST_WORD, Task::Over { at, conn });
            }
            batch.clear();
            let filled = serving.conn.fill(&mut batch, now);
            serving.is_last = filled.is_last;
            serving.has_data = filled.has_data;
            serving.unwritten.extend_from_slice(&batch);
            if filled.has_room {
                self.control(at, Event::Room { conn });
            }
            self.written(at, conn);
            self.inspect(at, conn, &batch);
            if batch.is_empty() && !filled.is_last {
                return;
            }
        }
    }

    /// Writes what the stream takes; true when nothing is left.
    fn flush(&mut self, at: usize, conn: ConnId) -> bool {
        let Some(serving) = self.serving(at, conn) else {
            return false;
        };
        let (pipe, side) = (serving.pipe, serving.side);
        let mut now = std::mem::take(&mut serving.unwritten);
        let room = self.window(pipe, side);
        let room = room.saturating_sub(self.pipes[pipe].directions[side].waiting);
        let rest = now.split_off(now.len().min(room));
        let is_done = rest.is_empty();
        if let Some(serving) = self.serving(at, conn) {
            serving.unwritten = rest;
        }
        if !now.is_empty() {
            self.took(at, conn);
            for segment in cut(now, &mut self.net_random) {
                self.push(pipe, side, Segment::Bytes(segment));
            }
        }
        is_done
    }

    fn took(&mut self, at: usize, conn: ConnId) {
        let (now, sabotage) = (self.clock.now(), self.sabotage);
        if let Some(serving) = self.serving(at, conn)
            && serving.has_data
            && sabotage != Some(Sabotage::Took)
        {
            serving.conn.took(now);
        }
    }

    /// The end of a stream, in one direction.
    pub fn push_end(&mut self, pipe: usize, side: usize, cause: CloseCause) {
        self.push(pipe, side, Segment::End(cause));
    }

    fn push(&mut self, pipe: usize, side: usize, segment: Segment) {
        let now = self.clock.now();
        let spent = self.transmission(pipe, side, &segment);
        let time = self.pipes[pipe].arrival(side, now, spent, &mut self.net_random);
        if let Segment::Bytes(bytes) = &segment {
            self.pipes[pipe].directions[side].waiting += bytes.len();
        }
        let task = Task::Arrive {
            pipe,
            side,
            segment,
        };
        self.clock.at(time, task);
    }

    /// A segment comes to the other end of a stream.
    pub fn arrive(&mut self, pipe: usize, side: usize, segment: Segment) {
        let [near, far] = [self.pipes[pipe].ends[side], self.pipes[pipe].ends[1 - side]];
        let is_dark = self.is_dark(near.at, far.at);
        let direction = &mut self.pipes[pipe].directions[side];
        if is_dark || !direction.held.is_empty() {
            return direction.held.push_back(segment);
        }
        self.receive(pipe, side, segment);
    }

    /// A direction moves again.
    pub fn resume(&mut self, pipe: usize, side: usize) {
        while let Some(segment) = self.pipes[pipe].directions[side].held.pop_front() {
            self.receive(pipe, side, segment);
        }
    }

    fn receive(&mut self, pipe: usize, side: usize, segment: Segment) {
        let [near, far] = [self.pipes[pipe].ends[side], self.pipes[pipe].ends[1 - side]];
        let direction = &mut self.pipes[pipe].directions[side];
        if direction.is_void {
            return;
        }
        if !far.is_open || self.life(far.at) != Some(far.life) {
            // A host that runs answers what is for nobody by a reset.
            if self.life(far.at).is_some() && matches!(segment, Segment::Bytes(_)) && near.is_open {
                self.push(pipe, 1 - side, Segment::End(CloseCause::Reset));
            }
            return;
        }
        match segment {
            Segment::End(cause) => self.end(far.at, far.conn, cause),
            Segment::Bytes(bytes) => {
                let direction = &mut self.pipes[pipe].directions[side];
                direction.waiting = direction.waiting.saturating_sub(bytes.len());
                self.wake_other(near);
                self.read(far.at, far.conn, &bytes);
            }
        }
    }

    fn wake_other(&mut self, near: End) {
        if self.life(near.at) == Some(near.life) {
            self.wake(near.at, near.conn);
        }
    }

    /// A connection ends at one broker; the other end is told by the stream.
    pub fn end(&mut self, at: usize, conn: ConnId, why: CloseCause) {
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let Some(serving) = broker.serving.remove(&conn) else {
            return;
        };
        broker.conns.remove(&conn);
        self.pipes[serving.pipe].ends[serving.side].is_open = false;
        if !serving.is_shut {
            self.push(serving.pipe, serving.side, Segment::End(CloseCause::Closed));
        }
        self.control(at, Event::Closed { conn, why });
    }

    /// Both ends learn of a reset, each at its own time; what is on the way is lost or not.
    pub fn reset(&mut self, pipe: usize, is_void: bool) {
        for side in [0, 1] {
            self.pipes[pipe].directions[side].is_void |= is_void;
            let end = self.pipes[pipe].ends[side];
            let time = self.fault_random.up_to(Duration::from_millis(30));
            if end.is_open && self.life(end.at) == Some(end.life) {
                let (at, conn) = (end.at, end.conn);
                self.clock.after(time, Task::Reset { at, conn });
            }
        }
    }

    /// A reader takes bytes.
    pub fn read(&mut self, at: usize, conn: ConnId, bytes: &[u8]) {
        let is_held = self.is_reader_held(at, conn);
        let Some(serving) = self.serving(at, conn).filter(|one| !one.is_broken) else {
            return;
        };
        serving.buffer.extend_from_slice(bytes);
        if is_held {
            return;
        }
        if let Err(error) = self.take_frames(at, conn) {
            if let Some(serving) = self.serving(at, conn) {
                serving.is_broken = true;
                let what = format!("{at} reads from a broker like itself: {error}");
                self.oracle.fail("protocol", None, what);
            }
            self.control(at, Event::Broken { conn, error });
            self.clock.after(LAST_WORD, Task::Over { at, conn });
        }
    }

    fn take_frames(&mut self, at: usize, conn: ConnId) -> Result<(), FrameError> {
        let mut has_data = false;
        loop {
            let Some(broker) = self.brokers[at].as_mut() else {
                return Ok(());
            };
            let Some(serving) = broker.serving.get_mut(&conn) else {
                return Ok(());
            };
            let Some(header) = Header::decode(&serving.buffer) else {
                break;
            };
            if !serving.is_up {
                serving.is_up = broker.mesh.phase(conn) == Some(Phase::Up);
            }
            let phase = if serving.is_up {
                Some(Phase::Up)
            } else {
                broker.mesh.phase(conn)
            };
            let Some(phase) = phase else { return Ok(()) };
            let admission = serving.limits.admit(header, phase)?;
            let whole = HEADER_LEN + usize::try_from(header.len).unwrap_or(usize::MAX);
            if serving.buffer.len() < whole {
                break;
            }
            let body = serving.buffer.split_to(whole).freeze().slice(HEADER_LEN..);
            let Admission::Take(kind) = admission else {
                continue;
            };
            if kind.is_data() {
                has_data = true;
                self.data(at, conn, kind, header.flags, body)?;
            } else {
                let body = self.told(at, kind, body);
                let frame = ControlFrame { kind, body };
                self.control(at, Event::Frame { conn, frame });
            }
        }
        let is_left_out = self.sabotage == Some(Sabotage::Sign);
        let partial = self.serving(at, conn).filter(|_| !is_left_out);
        let is_partial = partial.is_some_and(|one| one.is_up && !one.buffer.is_empty());
        if (has_data || is_partial) && self.is_sign_due(at, conn) {
            self.control(at, Event::Alive { conn });
        }
        Ok(())
    }

    fn is_sign_due(&mut self, at: usize, conn: ConnId) -> bool {
        let now = self.clock.now();
        self.serving(at, conn).is_some_and(|serving| {
            let is_due = now.since(serving.told) >= SIGN_GAP;
            if is_due {
                serving.told = now;
            }
            is_due
        })
    }

    fn data(
        &mut self,
        at: usize,
        conn: ConnId,
        kind: FrameType,
        flags: u8,
        body: Bytes,
    ) -> Result<(), FrameError> {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return Ok(());
        };
        let over = broker.link_over(conn);
        let Some(serving) = broker.serving.get_mut(&conn) else {
            return Ok(());
        };
        if serving.link.is_none() {
            serving.link = over;
        }
        let Some(link) = serving.link else {
            return Ok(());
        };
        let length = body.len();
        let complete = match kind {
            FrameType::Lack => {
                let lseq = decode_lack(&body)?;
                let acked = broker.links[link.index()].data.lack(conn, lseq, now)?;
                if acked.is_free {
                    self.custody(at, custody::Event::RingFree);
                }
                if let Some(conn) = acked.drained {
                    self.control(at, Event::Drained { link, conn });
                }
                return Ok(());
            }
            FrameType::Cont => serving.reassembly.cont(&body)?,
            _ => serving.reassembly.fwd(flags, body)?,
        };
        if let Some(frame) = complete {
            let lseq = frame.head.lseq;
            let open = serving.conn.clone();
            self.on_fwd(at, link, frame);
            open.handled(lseq, length, now);
            self.wake(at, conn);
            self.clock.after(LACK, Task::Write { at, conn });
        }
        Ok(())
    }
}

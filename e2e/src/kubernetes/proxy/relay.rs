//! One request on its way to the API server and back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};

use anyhow::{Context, Result};

use super::answers::{WATCH, refusal, too_old};
use super::faults::{Fate, Moment};
use super::{Request, Shared, lock};
use crate::kubernetes::access::{Access, Connection, rest};
use crate::kubernetes::message::{Head, request_body};

/// Headers that concern the connection, or whose asker is the proxy's own.
const OWN: [&str; 7] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    // What is compressed could not be filtered.
    "accept-encoding",
    "authorization",
    "expect",
];

/// Both ends of a request that is under way.
#[derive(Debug, Default)]
pub(super) struct Ends {
    is_watch: bool,
    sockets: Vec<TcpStream>,
}

impl Ends {
    /// Ends it from outside: both sides see that the other one has gone.
    pub(super) fn cut(&self) {
        for socket in &self.sockets {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Whether it goes on until somebody ends it.
    pub(super) fn is_watch(&self) -> bool {
        self.is_watch
    }

    /// The connection to the API server is there, too.
    pub(super) fn add(&mut self, socket: TcpStream) {
        self.sockets.push(socket);
    }
}

/// A request with its place in the record.
struct Relay<'a> {
    shared: &'a Shared,
    number: usize,
    line: String,
    is_watch: bool,
    client: TcpStream,
}

/// Carries out the one request of a connection.
pub(super) fn serve(shared: &Shared, access: &Access, client: TcpStream) -> Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(head) = Head::read(&mut reader)? else {
        return Ok(());
    };
    let body = request_body(&head, &mut reader)?;
    let verb = head.first.split(' ').next().unwrap_or_default().to_owned();
    let path = head.second()?.to_owned();
    let is_watch = path.contains("watch=true") || path.contains("watch=1");
    let shown = if is_watch { "WATCH" } else { &verb };
    let request = Request {
        verb: shown.to_owned(),
        path: path.clone(),
        status: None,
    };
    let line = request.line();
    let wait = lock(&shared.faults).wait(&line);
    std::thread::sleep(wait);
    let fate = lock(&shared.faults).judge(&line, request.is_write());
    let ends = Ends {
        is_watch,
        sockets: vec![client.try_clone()?],
    };
    let relay = Relay {
        number: shared.begin(request, ends),
        shared,
        line,
        is_watch,
        client,
    };
    let send = || access.send(&verb, &path, head.without(&OWN).headers, &body);
    let result = relay.meet(fate, send);
    shared.end(relay.number);
    result
}

impl Relay<'_> {
    fn meet(
        &self,
        fate: Fate,
        send: impl FnOnce() -> Result<(Head, BufReader<Connection>)>,
    ) -> Result<()> {
        match fate {
            Fate::Cut(Moment::BeforeItIsDone) => Ok(()),
            Fate::Cut(Moment::AfterItIsDone) => {
                let (_, mut body) = send()?;
                rest(&mut body);
                Ok(())
            }
            Fate::Last => {
                let (_, mut body) = send()?;
                rest(&mut body);
                self.shared.end_all();
                Ok(())
            }
            Fate::Refused(410) if self.is_watch => {
                self.shared.answered(self.number, 410);
                self.write(too_old().as_bytes())
            }
            Fate::Empty => {
                self.shared.answered(self.number, 200);
                self.write(WATCH.as_bytes())
            }
            Fate::Refused(status) => {
                self.shared.answered(self.number, status);
                self.write(refusal(status).as_bytes())
            }
            Fate::Stale(answer) => {
                self.shared.answered(self.number, 200);
                self.write(&answer)
            }
            Fate::Kept(index) => {
                let (head, body) = send()?;
                self.pass(head, body, Some(index))
            }
            Fate::Passed => {
                let (head, body) = send()?;
                self.pass(head, body, None)
            }
        }
    }

    fn pass(
        &self,
        mut head: Head,
        mut body: BufReader<Connection>,
        kept: Option<usize>,
    ) -> Result<()> {
        let socket = body.get_ref().sock.try_clone()?;
        self.shared.reached(self.number, socket);
        let status = head.second()?.parse().context("no status")?;
        head.first = head.first.replacen("HTTP/1.0", "HTTP/1.1", 1);
        let head = head.without(&["connection"]).with("Connection", "close");
        let mut bytes = Vec::new();
        head.write(&mut bytes)?;
        self.shared.answered(self.number, status);
        if self.is_watch && status == 200 {
            self.write(&bytes)?;
            return self.events(body);
        }
        bytes.extend(rest(&mut body));
        if let Some(index) = kept {
            lock(&self.shared.faults).keep(index, &bytes);
        }
        self.write(&bytes)
    }

    /// Passes a watch on, event by event.
    fn events(&self, mut body: BufReader<Connection>) -> Result<()> {
        loop {
            let mut event = Vec::new();
            if body.read_until(b'\n', &mut event)? == 0 {
                return Ok(());
            }
            if !lock(&self.shared.faults).is_lost(&self.line, &event) {
                self.write(&event)?;
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        (&self.client).write_all(bytes)?;
        Ok(())
    }
}

//! Follows all objects of one kind, as a controller does: list, watch, and from the start again when
//! the watch ends.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::access::{Access, json};

/// Between the end of a watch and the next list.
const PAUSE: Duration = Duration::from_millis(100);

/// Objects by `NAMESPACE/NAME`.
pub(super) type Objects = BTreeMap<String, Value>;

/// The connection to end when nobody wants to know any more.
#[derive(Debug, Default)]
struct Line {
    is_over: bool,
    socket: Option<TcpStream>,
}

/// Follows until it is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    line: Arc<Mutex<Line>>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Calls `changed` with all objects after each change; when that fails, again a little later.
    /// The API server is asked from the network namespace of the caller.
    pub(super) fn start(
        access: Access,
        path: &'static str,
        mut changed: impl FnMut(&Objects) -> Result<()> + Send + 'static,
    ) -> Self {
        let line = Arc::new(Mutex::new(Line::default()));
        let theirs = Arc::clone(&line);
        let thread = std::thread::spawn(move || {
            while !lock(&theirs).is_over {
                // The API server may be gone for a while: that is what some tests are about.
                let _ = follow(&access, path, &theirs, &mut changed);
                std::thread::sleep(PAUSE);
            }
        });
        Self {
            line,
            thread: Some(thread),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut line = lock(&self.line);
        line.is_over = true;
        if let Some(socket) = line.socket.take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(line);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn follow(
    access: &Access,
    path: &str,
    line: &Mutex<Line>,
    changed: &mut impl FnMut(&Objects) -> Result<()>,
) -> Result<()> {
    let mut list = access.get(path)?;
    let version = list["metadata"]["resourceVersion"].as_str();
    let version = version.context("a list without a version")?;
    let watch = format!("{path}?watch=true&resourceVersion={version}");
    let items = list["items"].as_array_mut().map(std::mem::take);
    let items = items.unwrap_or_default().into_iter();
    let mut objects: Objects = items.map(|item| (key(&item), item)).collect();
    changed(&objects)?;
    let (head, events) = access.send("GET", &watch, json("Accept"), &[])?;
    {
        let mut line = lock(line);
        if line.is_over {
            return Ok(());
        }
        line.socket = Some(events.get_ref().sock.try_clone()?);
    }
    if head.second()? != "200" {
        bail!("{}", head.first);
    }
    for event in events.lines() {
        let mut event: Value = serde_json::from_str(&event?)?;
        let object = event["object"].take();
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => {
                objects.insert(key(&object), object);
            }
            Some("DELETED") => {
                objects.remove(&key(&object));
            }
            _ => bail!("the watch ends: {object}"),
        }
        changed(&objects)?;
    }
    Ok(())
}

fn key(object: &Value) -> String {
    let metadata = &object["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default();
    format!("{}/{}", text("namespace"), text("name"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

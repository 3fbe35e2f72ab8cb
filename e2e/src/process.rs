//! Finding programs, running them with a deadline, ending them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// What a program left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Both outputs, for messages and for tests that do not care which one was written.
    #[must_use]
    pub fn output(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails unless the exit code was 0.
    ///
    /// # Errors
    /// Any other end, with everything the program wrote.
    pub fn success(self, what: &str) -> Result<Self> {
        ensure!(
            self.code == Some(0),
            "{what} ended with {:?}:\n{}",
            self.code,
            self.output()
        );
        Ok(self)
    }
}

/// The `causeway` command that was built with this test.
///
/// # Errors
/// It was not built.
pub fn causeway() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CAUSEWAY_BIN") {
        return Ok(PathBuf::from(path));
    }
    let test = std::env::current_exe()?;
    // The test is target/PROFILE/deps/NAME-HASH.
    let folder = test
        .parent()
        .and_then(Path::parent)
        .context("the test has no folder")?;
    let path = folder.join("causeway");
    ensure!(
        path.exists(),
        "{} is missing; make it with: cargo build -p causeway-operator",
        path.display()
    );
    Ok(path)
}

/// Fails with the command that installs a program when it is not in the path.
///
/// # Errors
/// It is missing.
pub fn need(program: &str, install: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps daemons where an ordinary user's path does not look.
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("{program} is missing; install it with: {install}"))
}

/// Runs a program to its end; after the deadline it is killed.
///
/// # Errors
/// It cannot be started, or it did not end in time.
pub fn run(command: &mut Command, patience: Duration) -> Result<Finished> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, patience)?;
    if status.is_none() {
        end(&mut child);
    }
    let (stdout, stderr) = (joined(stdout), joined(stderr));
    let Some(status) = status else {
        bail!("{command:?} did not end within {patience:?}; it wrote:\n{stdout}\n{stderr}");
    };
    Ok(Finished {
        code: status.code(),
        stdout,
        stderr,
    })
}

/// Waits for the end of a child; nothing when it is still there after the deadline.
///
/// # Errors
/// The child cannot be waited for.
pub fn wait(child: &mut Child, patience: Duration) -> Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends a child for certain.
pub fn end(child: &mut Child) {
    // Both fail only when it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Sends a signal to a process by its number.
///
/// # Errors
/// There is no such process.
pub fn signal(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).context("not a process number")?;
    kill_process(pid, signal).context("sending a signal")
}

/// Whether this process, and so whatever it starts, is to outlive its terminal.
///
/// # Errors
/// The system does not say.
pub fn ignores_hangup() -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(ignored.context("no SigIgn")?.trim(), 16)?;
    Ok(mask & 1 == 1)
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> Option<JoinHandle<String>> {
    pipe.map(|mut pipe| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is still worth printing.
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    })
}

fn joined(handle: Option<JoinHandle<String>>) -> String {
    handle
        .and_then(|handle| handle.join().ok())
        .unwrap_or_default()
}

/// A folder of its own below the system's temporary one; removed when dropped, unless it is to be
/// kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Leave it there, because somebody will want to look.
    pub is_kept: bool,
}

impl Folder {
    /// Makes a folder that was not there before.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-e2e-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self {
            path,
            is_kept: false,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nothing depends on it; the system clears its temporary folder anyway.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// All files below a folder, by their path in it.
///
/// # Errors
/// One of them cannot be read.
pub fn files(folder: &Path) -> Result<std::collections::BTreeMap<String, Vec<u8>>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.display().to_string();
                found.insert(name, std::fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

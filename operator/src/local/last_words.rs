//! What a broker said before it ended, from its log.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Bytes of the end of a log that are looked at.
const LOOKED_AT: u64 = 64 << 10;
/// Letters that are told.
const MAX_TOLD: usize = 2_000;
/// What a broker's last line begins with when it cannot go on, and what Rust says of a broken promise.
const STARTS: [&str; 2] = ["error: ", "thread '"];

/// How long a log is; nothing is there before the first start.
pub(super) fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// The last error in what was logged behind `from`.
pub(super) fn read(log: &Path, from: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let end = file.seek(SeekFrom::End(0)).ok()?;
    let from = from.max(end.saturating_sub(LOOKED_AT));
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut bytes).ok()?;
    last_error(&String::from_utf8_lossy(&bytes))
}

/// From the last line on that begins as an error does; where there is none, the last line.
fn last_error(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let is_start = |line: &&str| STARTS.iter().any(|start| line.starts_with(start));
    let said = match lines.iter().rposition(is_start) {
        Some(first) => lines[first..].join("; "),
        None => (*lines.iter().rfind(|line| !line.is_empty())?).to_owned(),
    };
    let said = said.strip_prefix(STARTS[0]).unwrap_or(&said);
    Some(match said.char_indices().nth(MAX_TOLD) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_told_with_all_its_lines() {
        let told = |text: &str| last_error(text);
        assert_eq!(told(""), None);
        assert_eq!(told("started\nstopping\n\n").as_deref(), Some("stopping"));
        let log = "error: old\n{\"level\":\"INFO\"}\nerror: a.yaml:1: x\nb.yaml:2: y\n";
        assert_eq!(told(log).as_deref(), Some("a.yaml:1: x; b.yaml:2: y"));
        let long = format!("error: {}", "x".repeat(3_000));
        assert_eq!(told(&long).map(|text| text.chars().count()), Some(2_001));
    }

    #[test]
    fn what_an_earlier_broker_said_does_not_count() {
        let log = std::env::temp_dir().join(format!("causeway-words-{}", std::process::id()));
        std::fs::write(&log, "error: earlier\n").expect("written");
        let from = length(&log);
        assert_eq!(read(&log, from), None);
        std::fs::write(&log, "error: earlier\nerror: now\n").expect("written");
        assert_eq!(read(&log, from).as_deref(), Some("now"));
        std::fs::remove_file(&log).ok();
        assert_eq!((length(&log), read(&log, 0)), (0, None));
    }
}

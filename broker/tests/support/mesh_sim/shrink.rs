//! A failing run made smaller: fewer brokers, faults and messages by halving, as long as the same
//! invariant breaks.

use super::scenario::Run;
use super::world::Sabotage;

/// Fewer brokers are no network.
const LEAST: usize = 3;

/// How much of the script of a run is played; what is left out is decided by chance all the same, so
/// that the rest stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Faults and changes.
    pub faults: usize,
    /// Messages.
    pub messages: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self {
            faults: usize::MAX,
            messages: usize::MAX,
        }
    }
}

impl Most {
    /// Reads `faults=3,messages=100`; either may be missing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut most = Self::default();
        for part in text.split(',') {
            let (key, value) = part.split_once('=')?;
            let value = value.parse().ok()?;
            match key {
                "faults" => most.faults = value,
                "messages" => most.messages = value,
                _ => return None,
            }
        }
        Some(most)
    }

    /// Counts a message; false when there were enough.
    pub fn takes_message(&mut self) -> bool {
        let has_room = self.messages > 0;
        self.messages = self.messages.saturating_sub(1);
        has_room
    }

    /// As it is read.
    pub fn text(self) -> String {
        let parts = [("faults", self.faults), ("messages", self.messages)];
        let parts = parts.iter().filter(|(_, most)| *most < usize::MAX);
        let parts: Vec<String> = parts.map(|(key, most)| format!("{key}={most}")).collect();
        parts.join(",")
    }
}

fn verdict(run: &Run, sabotage: Option<Sabotage>) -> Option<&'static str> {
    let failure = run.execute_without(sabotage).oracle.failure;
    failure.map(|failure| failure.invariant)
}

/// The smallest run found that breaks the same invariant.
pub fn shrink(run: Run, sabotage: Option<Sabotage>) -> Run {
    let world = run.execute_without(sabotage);
    let Some(failure) = &world.oracle.failure else {
        return run;
    };
    let played = [run.brokers, world.faults.len(), world.oracle.messages.len()];
    let mut best = run;
    for (which, mut number) in played.into_iter().enumerate() {
        loop {
            number /= 2;
            let smaller = with(best, which, number);
            if smaller.brokers < LEAST || smaller == best {
                break;
            }
            if verdict(&smaller, sabotage) != Some(failure.invariant) {
                break;
            }
            best = smaller;
        }
    }
    best
}

fn with(run: Run, which: usize, number: usize) -> Run {
    let mut smaller = run;
    match which {
        0 => smaller.brokers = number,
        1 => smaller.most.faults = number,
        _ => smaller.most.messages = number,
    }
    smaller
}

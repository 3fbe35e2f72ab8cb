//! What goes wrong next, decided for each request.

use std::time::Duration;

/// When a connection ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The API server never hears of the request.
    BeforeItIsDone,
    /// The API server has carried it out.
    AfterItIsDone,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// The API server answers it.
    Passed,
    /// Its connection ends without an answer.
    Cut(Moment),
    /// The API server carries it out, nobody is told, and nothing comes through any more.
    Last,
    /// It is answered here with an error.
    Refused(u16),
    /// The API server answers it, and the answer is kept under this number.
    Kept(usize),
    /// It is answered with what was kept.
    Stale(Vec<u8>),
    /// It is a watch that ends as soon as it has begun.
    Empty,
}

#[derive(Debug)]
struct Cut {
    pattern: String,
    /// How many matching requests still pass.
    passing: usize,
    moment: Moment,
}

#[derive(Debug)]
struct Refusal {
    pattern: String,
    status: u16,
    left: usize,
}

#[derive(Debug)]
struct Freeze {
    pattern: String,
    answer: Option<Vec<u8>>,
}

/// Everything that is to go wrong. A pattern is a part of `VERB PATH?QUERY`.
#[derive(Debug, Default)]
pub(super) struct Faults {
    cuts: Vec<Cut>,
    refusals: Vec<Refusal>,
    freezes: Vec<Freeze>,
    /// Part of the watch's line, and of the object's `NAMESPACE/NAME`.
    lost_events: Vec<(String, String)>,
    /// Part of the watch's line, which events are lost, and how many came.
    thinned: Vec<(String, usize, usize)>,
    /// Part of the line, and how long it waits.
    delays: Vec<(String, Duration)>,
    /// Part of the watch's line, and how many are still to end.
    ended: Vec<(String, usize)>,
    /// How many writes are still to come through, the last of them without an answer.
    writes_left: Option<usize>,
}

impl Faults {
    pub(super) fn cut(&mut self, pattern: &str, nth: usize, moment: Moment) {
        self.cuts.push(Cut {
            pattern: pattern.to_owned(),
            passing: nth.saturating_sub(1),
            moment,
        });
    }

    pub(super) fn refuse(&mut self, pattern: &str, status: u16, times: usize) {
        self.refusals.push(Refusal {
            pattern: pattern.to_owned(),
            status,
            left: times,
        });
    }

    pub(super) fn freeze(&mut self, pattern: &str) {
        self.freezes.push(Freeze {
            pattern: pattern.to_owned(),
            answer: None,
        });
    }

    pub(super) fn lose_events(&mut self, pattern: &str, object: &str) {
        self.lost_events
            .push((pattern.to_owned(), object.to_owned()));
    }

    pub(super) fn lose_every(&mut self, pattern: &str, nth: usize) {
        self.thinned.push((pattern.to_owned(), nth.max(1), 0));
    }

    pub(super) fn delay(&mut self, pattern: &str, delay: Duration) {
        self.delays.push((pattern.to_owned(), delay));
    }

    pub(super) fn end_at_once(&mut self, pattern: &str, times: usize) {
        self.ended.push((pattern.to_owned(), times));
    }

    /// How long a request waits.
    pub(super) fn wait(&self, line: &str) -> Duration {
        let mut delays = self.delays.iter();
        let delay = delays.find(|(pattern, _)| line.contains(pattern));
        delay.map_or(Duration::ZERO, |(_, delay)| *delay)
    }

    pub(super) fn end_after_write(&mut self, nth: usize) {
        self.writes_left = Some(nth);
    }

    /// What becomes of a request; counts it.
    pub(super) fn judge(&mut self, line: &str, is_write: bool) -> Fate {
        if let Some(left) = self.writes_left.as_mut().filter(|_| is_write) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Fate::Last;
            }
        }
        let mut refusals = self.refusals.iter_mut();
        let refusal = refusals.find(|one| one.left > 0 && line.contains(&one.pattern));
        if let Some(refusal) = refusal {
            refusal.left -= 1;
            return Fate::Refused(refusal.status);
        }
        let mut ended = self.ended.iter_mut();
        if let Some((_, left)) = ended.find(|(pattern, left)| *left > 0 && line.contains(pattern)) {
            *left -= 1;
            return Fate::Empty;
        }
        let mut reached = None;
        for (index, cut) in self.cuts.iter_mut().enumerate() {
            if line.contains(&cut.pattern) {
                match cut.passing.checked_sub(1) {
                    Some(passing) => cut.passing = passing,
                    None => reached = Some(index),
                }
            }
        }
        if let Some(index) = reached {
            return Fate::Cut(self.cuts.remove(index).moment);
        }
        let mut freezes = self.freezes.iter().enumerate();
        match freezes.find(|(_, freeze)| line.contains(&freeze.pattern)) {
            Some((index, Freeze { answer: None, .. })) => Fate::Kept(index),
            Some((_, freeze)) => Fate::Stale(freeze.answer.clone().unwrap_or_default()),
            None => Fate::Passed,
        }
    }

    /// Keeps an answer for later requests.
    pub(super) fn keep(&mut self, index: usize, answer: &[u8]) {
        if let Some(freeze) = self.freezes.get_mut(index) {
            freeze.answer = Some(answer.to_vec());
        }
    }

    /// Whether an event of a watch never arrives. Bookmarks do: the watch goes on behind the loss.
    pub(super) fn is_lost(&mut self, line: &str, event: &[u8]) -> bool {
        let Some(name) = name(event) else {
            return false;
        };
        let mut lost = self.lost_events.iter();
        if lost.any(|(pattern, object)| line.contains(pattern) && name.contains(object)) {
            return true;
        }
        let mut thinned = self.thinned.iter_mut();
        let Some((_, nth, came)) = thinned.find(|(pattern, ..)| line.contains(pattern)) else {
            return false;
        };
        *came += 1;
        came.is_multiple_of(*nth)
    }
}

/// `NAMESPACE/NAME` of the object of an event; none of a bookmark and of an error.
fn name(event: &[u8]) -> Option<String> {
    let event: serde_json::Value = serde_json::from_slice(event).ok()?;
    if event["type"] == "BOOKMARK" {
        return None;
    }
    let metadata = &event["object"]["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    Some(format!("{namespace}/{}", metadata["name"].as_str()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WRITE: &str = "PATCH /api/v1/namespaces/a/secrets/s?fieldManager=x";

    #[test]
    fn only_the_nth_matching_request_is_cut_and_only_once() {
        let mut faults = Faults::default();
        faults.cut("PATCH ", 2, Moment::AfterItIsDone);
        assert_eq!(faults.judge(WRITE, false), Fate::Passed);
        assert_eq!(faults.judge("GET /api/v1/secrets", false), Fate::Passed);
        assert_eq!(faults.judge(WRITE, false), Fate::Cut(Moment::AfterItIsDone));
        assert_eq!(faults.judge(WRITE, false), Fate::Passed);
    }

    #[test]
    fn a_refusal_lasts_as_long_as_it_was_said() {
        let mut faults = Faults::default();
        faults.refuse("/secrets", 503, 2);
        assert_eq!(faults.judge("GET /api/v1/pods", false), Fate::Passed);
        assert_eq!(faults.judge(WRITE, false), Fate::Refused(503));
        assert_eq!(faults.judge(WRITE, false), Fate::Refused(503));
        assert_eq!(faults.judge(WRITE, false), Fate::Passed);
    }

    #[test]
    fn a_frozen_list_is_answered_with_its_first_answer() {
        let mut faults = Faults::default();
        faults.freeze("GET /api/v1/secrets");
        let list = "GET /api/v1/secrets?limit=500";
        assert_eq!(faults.judge(list, false), Fate::Kept(0));
        faults.keep(0, b"old");
        assert_eq!(faults.judge(list, false), Fate::Stale(b"old".to_vec()));
        assert_eq!(faults.judge("WATCH /api/v1/secrets", false), Fate::Passed);
    }

    #[test]
    fn every_nth_event_is_lost_and_only_watches_that_were_named_are_thinned() {
        let mut faults = Faults::default();
        faults.lose_every("/secrets", 3);
        let event = br#"{"type":"ADDED","object":{"metadata":{"name":"s","namespace":"a"}}}"#;
        let lost: Vec<bool> = (0..6)
            .map(|_| faults.is_lost("WATCH /api/v1/secrets?watch=1", event))
            .collect();
        assert_eq!(lost, [false, false, true, false, false, true]);
        assert!(!faults.is_lost("WATCH /api/v1/pods?watch=1", event));
    }

    #[test]
    fn a_watch_ends_at_once_as_often_as_it_was_said_and_requests_wait() {
        let mut faults = Faults::default();
        faults.end_at_once("WATCH ", 1);
        let watch = "WATCH /api/v1/secrets?watch=1";
        assert_eq!(faults.judge(watch, false), Fate::Empty);
        assert_eq!(faults.judge(watch, false), Fate::Passed);
        faults.delay("GET ", Duration::from_millis(5));
        assert_eq!(faults.wait("GET /api/v1/pods"), Duration::from_millis(5));
        assert_eq!(faults.wait(watch), Duration::ZERO);
    }

    #[test]
    fn events_of_one_object_are_lost_and_bookmarks_are_not() {
        let mut faults = Faults::default();
        faults.lose_events("/secrets", "a/s");
        let event = |name: &str, kind: &str| {
            let metadata = json!({"namespace": "a", "name": name});
            json!({"type": kind, "object": {"metadata": metadata}})
                .to_string()
                .into_bytes()
        };
        let watch = "WATCH /api/v1/secrets?watch=1";
        assert!(faults.is_lost(watch, &event("s", "MODIFIED")));
        assert!(!faults.is_lost(watch, &event("t", "MODIFIED")));
        assert!(!faults.is_lost(watch, &event("s", "BOOKMARK")));
        assert!(!faults.is_lost("WATCH /api/v1/pods?watch=1", &event("s", "ADDED")));
    }
}

use std::time::Duration;

use super::{LinkReport, MAX_REPORT, Probes, Report, Reports, Stored};
use crate::mesh::ids::{Bid, ClaimId, Epoch, Now};
use crate::mesh::messages::ReportFrame;
use crate::mesh::random::Random;

const REFRESH: Duration = Duration::from_secs(60);

fn at(millis: u64) -> Now {
    Now(0).plus(Duration::from_millis(millis))
}

fn claim(byte: u8) -> ClaimId {
    ClaimId {
        bid: Bid([byte; 16]),
        instance8: 1,
    }
}

#[test]
fn states_are_told_within_a_second_numbers_within_five() {
    let mut reports = Reports::default();
    assert!(reports.is_due(3, REFRESH, at(0)));
    reports.issue(claim(1), Epoch(1), Report::default(), at(0));
    assert_eq!(reports.deadline(3, REFRESH), Some(at(60_000)));
    reports.changed(at(10));
    assert_eq!(reports.deadline(3, REFRESH), Some(at(5_000)));
    reports.state_changed(at(10));
    assert_eq!(reports.deadline(3, REFRESH), Some(at(1_000)));
    assert_eq!(reports.deadline(3000, REFRESH), Some(at(1_000)));
}

#[test]
fn newer_reports_replace_older_ones_and_never_the_other_way_round() {
    let mut issuer = Reports::default();
    let mut reader = Reports::default();
    let first = issuer.issue(claim(1), Epoch(5), Report::default(), at(0));
    let second = issuer.issue(claim(1), Epoch(5), Report::default(), at(0));
    assert_eq!(reader.offer(claim(1), &second, at(1)), Stored::Newer);
    assert_eq!(reader.offer(claim(1), &first, at(1)), Stored::Known);
    assert_eq!(reader.offer(claim(1), &second, at(1)), Stored::Known);
    let restarted = ReportFrame {
        epoch: 6,
        rseq: 1,
        ..first
    };
    assert_eq!(reader.offer(claim(1), &restarted, at(1)), Stored::Newer);
    assert_eq!(reader.version_of(&claim(1), Epoch(5)), 0);
}

#[test]
fn a_report_that_is_too_long_loses_its_error_texts_first() {
    let link = LinkReport {
        last_error: "x".repeat(500),
        ..LinkReport::default()
    };
    let report = Report {
        links: vec![link; 100],
        ..Report::default()
    };
    let mut reports = Reports::default();
    let frame = reports.issue(claim(1), Epoch(1), report, at(0));
    assert!(frame.body.len() <= MAX_REPORT);
    assert_eq!(
        reports
            .all()
            .next()
            .map(|(_, known)| known.report.links.len()),
        Some(100)
    );
    let huge = ReportFrame {
        body: vec![0; MAX_REPORT + 1].into(),
        rseq: 9,
        ..frame
    };
    assert_eq!(reports.offer(claim(2), &huge, at(0)), Stored::Refused);
}

#[test]
fn probes_reach_every_site_in_turn_and_fail_after_five_seconds() {
    let mut probes = Probes::default();
    let mut random = Random::new(1);
    let sites: Vec<Bid> = (0..100).map(|byte| Bid([byte; 16])).collect();
    let interval = Duration::from_secs(15);
    let first = probes.due(sites.iter().copied(), interval, &mut random, at(0));
    assert!(
        probes
            .due(sites.iter().copied(), interval, &mut random, at(1))
            .is_empty()
    );
    let second = probes.due(sites.iter().copied(), interval, &mut random, at(15_000));
    let mut seen: Vec<Bid> = first.iter().chain(&second).map(|(bid, _)| *bid).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, sites);

    let (bid, id) = second[0];
    assert_eq!(probes.returned(bid, id + 1, at(15_002)), None);
    assert_eq!(
        probes.returned(bid, id, at(15_002)),
        Some(Duration::from_millis(2))
    );
    let late = probes.expired(at(20_000));
    assert!(!late.contains(&bid) && late.contains(&second[1].0));
    assert!(probes.result(second[1].0).has_failed && !probes.result(bid).has_failed);
}

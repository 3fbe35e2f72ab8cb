//! Ranges of numbers, and what they are together.

use std::ops::RangeInclusive;

use super::BROKER;
use crate::config::file::BrokerFile;
use crate::config::limits::Limits;
use crate::config::problem::Problems;
use crate::config::units::{Size, Span};

/// The least memory a broker runs with.
const MIN_MEMORY: u64 = 16 << 20;
/// The largest window of a consumer.
const MAX_PREFETCH: u64 = 32_767;
/// No time is longer: sums of times and clocks stay far from their ends.
const MAX_SPAN: Span = Span::seconds(366 * 86_400);

pub(super) fn check(file: &BrokerFile, limits: &Limits, problems: &mut Problems) {
    if file.memory.limit.is_some_and(|limit| limit.0 < MIN_MEMORY) {
        problems.add(BROKER, "memory.limit", "must be at least 16Mi");
    }
    for (path, given, range) in counts(file) {
        if given.is_some_and(|number| !range.contains(&number)) {
            let reason = format!("must be {} to {}", range.start(), range.end());
            problems.add(BROKER, path, reason);
        }
    }
    for (path, given, least) in spans(file) {
        if given.is_some_and(|span| span < least || span > MAX_SPAN) {
            problems.add(BROKER, path, format!("must be {least} to {MAX_SPAN}"));
        }
    }
    for (path, given, least) in sizes(file) {
        if given.is_some_and(|size| size < least) {
            problems.add(BROKER, path, format!("must be at least {least}"));
        }
    }
    pairs(limits, problems);
    shares(file, limits, problems);
}

fn counts(file: &BrokerFile) -> Vec<(String, Option<u64>, RangeInclusive<u64>)> {
    let (limits, stomp) = (&file.limits, &file.stomp);
    let any = 1..=u64::from(u32::MAX);
    let mut counts = [
        ("limits.connections", limits.connections, any.clone()),
        (
            "limits.pre_auth_connections",
            limits.pre_auth_connections,
            any.clone(),
        ),
        ("limits.subscriptions", limits.subscriptions, any.clone()),
        (
            "limits.destination_length",
            limits.destination_length,
            1..=65_535,
        ),
        ("limits.id_length", limits.id_length, 1..=65_535),
        ("limits.destinations", limits.destinations, any.clone()),
        (
            "limits.temporary_destinations",
            limits.temporary_destinations,
            any.clone(),
        ),
        (
            "limits.durable_subscriptions",
            limits.durable_subscriptions,
            0..=u64::from(u32::MAX),
        ),
        (
            "limits.transaction_frames",
            limits.transaction_frames,
            any.clone(),
        ),
        ("stomp.max_headers", stomp.max_headers, any.clone()),
        (
            "security.verify_permits",
            file.security.verify_permits,
            1..=64,
        ),
        (
            "admin.max_connections",
            file.admin.max_connections,
            any.clone(),
        ),
        ("shutdown.drain_rate", file.shutdown.drain_rate, any),
        ("queue.prefetch", file.queue.prefetch, 1..=MAX_PREFETCH),
        ("topic.prefetch", file.topic.prefetch, 1..=MAX_PREFETCH),
        (
            "topic.durable_prefetch",
            file.topic.durable_prefetch,
            1..=MAX_PREFETCH,
        ),
        ("mesh.open_credit", file.mesh.open_credit, 0..=65_535),
    ]
    .map(|(path, given, range)| (path.to_owned(), given.map(u64::from), range))
    .to_vec();
    for (index, policy) in file.queue.policies.iter().flatten().enumerate() {
        let path = format!("queue.policies[{index}].prefetch");
        counts.push((path, policy.prefetch.map(u64::from), 1..=MAX_PREFETCH));
    }
    counts
}

fn spans(file: &BrokerFile) -> Vec<(&'static str, Option<Span>, Span)> {
    let (limits, mesh, none, least) = (&file.limits, &file.mesh, Span(0), Span(1));
    let delay = file.security.failure_delay;
    let beat = file.stomp.heart_beat;
    vec![
        ("limits.pre_auth_deadline", limits.pre_auth_deadline, least),
        ("limits.write_deadline", limits.write_deadline, least),
        ("queue.idle_after", file.queue.idle_after, least),
        ("security.cache_ttl", file.security.cache_ttl, none),
        (
            "security.failure_delay",
            delay.map(|delay| delay.window),
            none,
        ),
        ("security.failure_delay", delay.map(|delay| delay.max), none),
        ("stomp.heart_beat", beat.map(|beat| beat.send), none),
        ("stomp.heart_beat", beat.map(|beat| beat.want), none),
        ("shutdown.drain", file.shutdown.drain, none),
        ("mesh.limbo_time", mesh.limbo_time, none),
        ("mesh.doubt_timeout", mesh.doubt_timeout, least),
        ("mesh.window_time", mesh.window_time, Span::seconds(60)),
        ("mesh.reply_ttl", mesh.reply_ttl, least),
        ("mesh.handshake_timeout", mesh.handshake_timeout, least),
        ("mesh.sync_timeout", mesh.sync_timeout, least),
        ("mesh.connect_timeout", mesh.connect_timeout, least),
        ("mesh.redial_min", mesh.redial_min, least),
        ("mesh.redial_max", mesh.redial_max, least),
        ("mesh.refused_min", mesh.refused_min, least),
        ("mesh.refused_max", mesh.refused_max, least),
        ("mesh.lsa_refresh", mesh.lsa_refresh, Span::seconds(1)),
        ("mesh.report_refresh", mesh.report_refresh, Span::seconds(1)),
        ("mesh.probe_interval", mesh.probe_interval, none),
        ("mesh.renew_after", mesh.renew_after, none),
    ]
}

fn sizes(file: &BrokerFile) -> Vec<(&'static str, Option<Size>, Size)> {
    let (limits, stomp) = (&file.limits, &file.stomp);
    vec![
        ("limits.frame", limits.frame, Size(1 << 10)),
        ("limits.outbound", limits.outbound, Size(4 << 10)),
        (
            "limits.pre_auth_memory",
            limits.pre_auth_memory,
            Size(64 << 10),
        ),
        (
            "limits.arriving_memory",
            limits.arriving_memory,
            Size(64 << 10),
        ),
        (
            "limits.subscription_memory",
            limits.subscription_memory,
            Size(64 << 10),
        ),
        (
            "topic.durable_max_bytes",
            file.topic.durable_max_bytes,
            Size(4 << 10),
        ),
        ("stomp.max_line", stomp.max_line, Size(128)),
        (
            "stomp.max_header_block",
            stomp.max_header_block,
            Size(1 << 10),
        ),
    ]
}

fn pairs(limits: &Limits, problems: &mut Problems) {
    let (times, delay) = (&limits.mesh_times, &limits.failure_delay);
    for (path, least, most) in [
        ("mesh.redial_max", times.redial_min, times.redial_max),
        ("mesh.refused_max", times.refused_min, times.refused_max),
        ("security.failure_delay", delay.min, delay.max),
    ] {
        if least > most {
            problems.add(BROKER, path, format!("max, {most}, is below min, {least}"));
        }
    }
    if delay.after == 0 {
        problems.add(BROKER, "security.failure_delay", "after must be at least 1");
    }
}

/// What links may use has to fit into the memory there is.
fn shares(file: &BrokerFile, limits: &Limits, problems: &mut Problems) {
    let routes = limits.reply_routes.saturating_mul(128);
    let parts = [
        limits.rings,
        limits.overflow,
        limits.limbo,
        limits.databases,
        limits.windows,
        routes,
        limits.arriving_memory,
        limits.pre_auth_memory,
    ];
    // Control queues and reorder buffers have no keys: a sixteenth each.
    let fixed = limits.memory / 8;
    let sum = parts
        .iter()
        .fold(fixed, |sum, part| sum.saturating_add(*part as u64));
    if sum > limits.memory {
        let path = if file.memory.limit.is_some() {
            "memory.limit"
        } else {
            "mesh"
        };
        let reason = format!(
            "mesh.*, limits.arriving_memory and limits.pre_auth_memory may use {} bytes together, more than \
             memory.limit, {}",
            sum,
            Size(limits.memory)
        );
        problems.add(BROKER, path, reason);
    }
}

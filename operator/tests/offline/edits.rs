//! Edits of the example, and what they change in words.

use causeway_operator::api::status::RestartReason;
use causeway_operator::change::{Change, SiteChange};

use super::edited;

pub const IE: &str = "{name: ie, labels: {country: ie}, endpoint: {host: amq.ie.example.com}}";

/// The example with further fields of the site ie.
pub fn site(fields: &str) -> String {
    let with = IE.trim_end_matches('}').to_owned() + &format!("}}, {fields}}}");
    edited(IE, &with)
}

/// The changes of a site, as `class path: before -> after`.
pub fn lines(site: &SiteChange) -> Vec<String> {
    let line = |change: &Change| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let (before, after) = (value(&change.before), value(&change.after));
        format!(
            "{} {}: {before} -> {after}",
            change.class.word(),
            change.path
        )
    };
    site.changes.iter().map(line).collect()
}

/// Fields that only a cluster acts on, with what a change of them is.
pub const CLUSTER: [(&str, &str, Option<RestartReason>); 13] = [
    (
        "image: {repository: r, tag: t}",
        "image",
        Some(RestartReason::Image),
    ),
    (
        "resources: {limits: {memory: 1Gi}}",
        "resources",
        Some(RestartReason::Resources),
    ),
    (
        "nodeSelector: {a: b}",
        "nodeSelector",
        Some(RestartReason::Placement),
    ),
    (
        "tolerations: [{key: a, operator: Exists}]",
        "tolerations",
        Some(RestartReason::Placement),
    ),
    (
        "priorityClassName: high",
        "priorityClassName",
        Some(RestartReason::Placement),
    ),
    (
        "terminationGracePeriodSeconds: 30",
        "terminationGracePeriodSeconds",
        Some(RestartReason::Placement),
    ),
    (
        "podAnnotations: {a: b}",
        "podAnnotations",
        Some(RestartReason::Placement),
    ),
    (
        "podLabels: {a: b}",
        "podLabels",
        Some(RestartReason::Placement),
    ),
    (
        "overrides: [{kind: Deployment, patch: {spec: {template: {spec: {dnsPolicy: None}}}}}]",
        "overrides (pod template)",
        Some(RestartReason::Placement),
    ),
    (
        "listeners: {admin: {port: 9000}}",
        "listeners.admin.port",
        Some(RestartReason::Placement),
    ),
    ("listeners: {stomp: {port: 9000}}", "listeners.stomp", None),
    (
        "listeners: {stomp: {service: {type: NodePort}}}",
        "listeners.stomp.service",
        None,
    ),
    (
        "overrides: [{kind: Service, patch: {metadata: {annotations: {a: b}}}}]",
        "overrides[0]",
        None,
    ),
];

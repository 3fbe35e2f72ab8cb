//! L10: what can be read on its way.

use std::collections::BTreeMap;

use super::Context;
use crate::api::cluster::ServiceType;
use crate::finding::{Finding, Subject};
use crate::model::ListenerKind;
use crate::rule::Rule;

/// L10: listeners without TLS that are reached from outside the cluster. Links are always inside TLS, and the admin page
/// cannot be exposed.
pub(super) fn plaintext(context: &Context<'_>) -> Vec<Finding> {
    let Some(valid) = context.valid else {
        return Vec::new();
    };
    // Sites that have it from the defaults are told together.
    let mut places: BTreeMap<String, (Vec<&str>, ServiceType)> = BTreeMap::new();
    for (index, site) in context.declared.network.spec.sites.iter().enumerate() {
        let effective = valid.sites.get(site.name.as_str());
        let services = effective.map(|effective| &effective.cluster.services);
        let service = services.and_then(|services| services.get(&ListenerKind::Stomp));
        let Some(service) = service.filter(|service| is_outside(service.kind)) else {
            continue;
        };
        let own = site.listeners.as_ref();
        let own = own.and_then(|listeners| listeners.stomp.as_ref()?.service.as_ref()?.kind);
        let holder = match own {
            Some(_) => format!("spec.sites[{index}]"),
            None => "spec.siteDefaults".to_owned(),
        };
        let path = format!("{holder}.listeners.stomp.service.type");
        let place = places.entry(path).or_insert((Vec::new(), service.kind));
        place.0.push(&site.name);
    }
    let finding = |(path, (sites, kind)): (String, (Vec<&str>, ServiceType))| {
        let reason = format!(
            "passwords and messages pass a {kind:?} in clear to the stomp listener of {}",
            sites.join(", ")
        );
        let help = "expose stompTls instead, or limit who reaches it";
        let finding = Finding::warning(Subject::Network, path, reason);
        finding.with_help(help).called(Rule::PlaintextExposed)
    };
    places.into_iter().map(finding).collect()
}

const fn is_outside(kind: ServiceType) -> bool {
    matches!(kind, ServiceType::LoadBalancer | ServiceType::NodePort)
}

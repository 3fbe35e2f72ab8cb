//! Labels, annotations and selectors of everything that is made, and who makes it.

use std::collections::BTreeMap;

/// Field manager of every write (O6).
pub const FIELD_MANAGER: &str = "causeway-operator";
/// Label with the name of the network.
pub const NETWORK: &str = "causeway.dev/network";
/// Label with the name of the site.
pub const SITE: &str = "causeway.dev/site";
/// Label with the listener a Service is for.
pub const LISTENER: &str = "causeway.dev/listener";
/// Label with the BrokerUser that a Secret belongs to.
pub const USER: &str = "causeway.dev/user";
/// Label that says who manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label with the name of the application.
pub const NAME: &str = "app.kubernetes.io/name";
/// [`NAME`] of a broker's objects.
pub const BROKER: &str = "causeway-broker";

/// Annotation with the hash of the configuration: of the Secret what is wanted, of a pod what it was told of.
pub const CONFIG_HASH: &str = "causeway.dev/config-hash";
/// Annotation with the hash of what was applied last, so that a field that is gone from it is noticed.
pub const APPLIED: &str = "causeway.dev/applied";
/// Annotation of a Deployment with what its pod template was built from.
pub const TEMPLATE: &str = "causeway.dev/template";
/// Annotation of the Secret of a generated password: the rotation it was made for.
pub const ROTATION: &str = "causeway.dev/rotation";
/// Annotation on a BrokerNetwork: `paused` stops every write but the status.
pub const RECONCILE: &str = "causeway.dev/reconcile";
/// Annotation on a BrokerNetwork: the sites whose removal is meant (P17).
pub const ALLOW_SITE_REMOVAL: &str = "causeway.dev/allow-site-removal";
/// Value of [`RECONCILE`].
pub const PAUSED: &str = "paused";
/// What the names of our labels and annotations begin with.
pub const PREFIX: &str = "causeway.dev/";
/// Annotation that ExternalDNS reads.
pub const EXTERNAL_DNS: &str = "external-dns.alpha.kubernetes.io/hostname";

/// Whether a label or an annotation is of ours.
#[must_use]
pub fn is_ours(key: &str) -> bool {
    key.starts_with(PREFIX)
}

/// The annotations of an object that are of ours.
pub fn annotations<K: kube::Resource>(object: &K) -> BTreeMap<String, String> {
    let all = object.meta().annotations.iter().flatten();
    let own = all.filter(|(key, _)| is_ours(key));
    own.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What comes after [`PREFIX`].
#[must_use]
pub fn own_part(key: &str) -> &str {
    key.strip_prefix(PREFIX).unwrap_or(key)
}

/// The names in the value of an annotation that is a list.
pub fn listed(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Selects everything that is made.
#[must_use]
pub fn managed_selector() -> String {
    format!("{MANAGED_BY}={FIELD_MANAGER}")
}

/// Selects the pods of every broker.
#[must_use]
pub fn broker_selector() -> String {
    format!("{NAME}={BROKER}")
}

/// Labels of an object of a network.
#[must_use]
pub fn of_network(network: &str) -> BTreeMap<String, String> {
    let pairs = [
        (NAME, BROKER),
        ("app.kubernetes.io/component", "broker"),
        ("app.kubernetes.io/part-of", "causeway"),
        (MANAGED_BY, FIELD_MANAGER),
        (NETWORK, network),
    ];
    owned(&pairs)
}

/// Labels of an object of a site.
#[must_use]
pub fn of_site(network: &str, site: &str) -> BTreeMap<String, String> {
    let mut labels = of_network(network);
    labels.insert(SITE.to_owned(), site.to_owned());
    labels
}

/// Labels of the Secret of a user.
#[must_use]
pub fn of_user(network: &str, user: &str) -> BTreeMap<String, String> {
    owned(&[
        (NAME, BROKER),
        ("app.kubernetes.io/component", "credentials"),
        ("app.kubernetes.io/part-of", "causeway"),
        (MANAGED_BY, FIELD_MANAGER),
        (NETWORK, network),
        (USER, user),
    ])
}

/// What selects the pods of a site; it never changes, since a Deployment's selector cannot.
#[must_use]
pub fn selector(network: &str, site: &str) -> BTreeMap<String, String> {
    owned(&[(NAME, BROKER), (NETWORK, network), (SITE, site)])
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

//! What the operator may do: no more than the documented table, in whatever shape.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Helm;
use serde_json::{Value, json};

use super::read;
use super::rendering::{Chart, ie, of_kind, only};

type Rights = BTreeMap<String, BTreeSet<String>>;

const OWN: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

/// The table of the design; docs/install.md has the reasons.
fn table() -> Rights {
    let rows: [(&str, &[&str]); 14] = [
        ("causeway.dev/brokernetworks", &["list", "watch"]),
        ("causeway.dev/brokerusers", &["list", "watch"]),
        ("causeway.dev/brokernetworks/status", &["patch"]),
        ("causeway.dev/brokerusers/status", &["patch"]),
        ("apps/deployments", &OWN),
        ("/services", &OWN),
        ("/serviceaccounts", &OWN),
        ("/secrets", &OWN),
        ("policy/poddisruptionbudgets", &OWN),
        ("networking.k8s.io/networkpolicies", &OWN),
        ("/configmaps", &["get"]),
        ("/pods", &["list", "watch", "patch"]),
        ("events.k8s.io/events", &["create", "patch"]),
        ("coordination.k8s.io/leases", &["get", "create", "patch"]),
    ];
    let words = |verbs: &[&str]| verbs.iter().map(|verb| (*verb).to_owned()).collect();
    rows.into_iter()
        .map(|(resource, verbs)| (resource.to_owned(), words(verbs)))
        .collect()
}

/// What a role allows, by `GROUP/RESOURCE`.
fn rights(role: &Value) -> Result<Rights> {
    let words = |value: &Value| -> Result<Vec<String>> {
        let list = value.as_array().context("a list")?;
        let text = |word: &Value| Ok(word.as_str().context("a word")?.to_owned());
        list.iter().map(text).collect()
    };
    let mut all = Rights::new();
    for rule in role["rules"].as_array().context("rules")? {
        ensure!(rule["resourceNames"].is_null() && rule["nonResourceURLs"].is_null());
        for group in words(&rule["apiGroups"])? {
            for resource in words(&rule["resources"])? {
                let verbs = all.entry(format!("{group}/{resource}")).or_default();
                verbs.extend(words(&rule["verbs"])?);
            }
        }
    }
    Ok(all)
}

fn chart() -> Result<Chart> {
    Chart::new(Helm::Four, "causeway")
}

#[test]
fn the_role_has_exactly_the_documented_verbs() -> Result<()> {
    let objects = chart()?.render(&ie())?;
    let role = only(&objects, "Role")?;
    ensure!(rights(role)? == table(), "{:#?}", rights(role)?);
    ensure!(of_kind(&objects, "ClusterRoleBinding").is_empty());
    Ok(())
}

#[test]
fn in_a_whole_cluster_it_has_the_same_and_no_role_beside() -> Result<()> {
    let values = json!({
        "sites": ["ie"], "watchNamespaces": ["*"],
        "rbac": {"scope": "cluster", "aggregateToUserRoles": false},
    });
    let objects = chart()?.render(&values)?;
    ensure!(rights(only(&objects, "ClusterRole")?)? == table());
    ensure!(of_kind(&objects, "Role").is_empty());
    Ok(())
}

#[test]
fn certificates_are_its_business_only_with_cert_manager() -> Result<()> {
    let objects = chart()?.render(&json!({"sites": ["ie"], "certManager": {"enabled": true}}))?;
    let mut expected = table();
    let own = OWN.map(str::to_owned);
    expected.insert("cert-manager.io/certificates".to_owned(), own.into());
    ensure!(rights(only(&objects, "Role")?)? == expected);
    Ok(())
}

#[test]
fn where_networks_are_elsewhere_it_may_do_nothing_at_home_but_lead_and_tell() -> Result<()> {
    let objects = chart()?.render(&json!({"sites": ["ie"], "watchNamespaces": ["a", "b"]}))?;
    let roles = of_kind(&objects, "Role");
    ensure!(roles.len() == 3 && of_kind(&objects, "RoleBinding").len() == 3);
    for role in roles {
        let rights = rights(role)?;
        if role["metadata"]["namespace"] == "causeway" {
            let resources: Vec<&str> = rights.keys().map(String::as_str).collect();
            ensure!(resources == ["coordination.k8s.io/leases", "events.k8s.io/events"]);
        } else {
            ensure!(rights == table());
        }
    }
    for binding in of_kind(&objects, "RoleBinding") {
        let subject = &binding["subjects"][0];
        ensure!(subject["name"] == "causeway" && subject["namespace"] == "causeway");
    }
    Ok(())
}

#[test]
fn users_roles_hold_networks_and_users_of_brokers_only() -> Result<()> {
    let objects = chart()?.render(&ie())?;
    let roles = of_kind(&objects, "ClusterRole");
    ensure!(roles.len() == 2);
    for role in roles {
        ensure!(
            rights(role)?
                .keys()
                .all(|resource| resource.starts_with("causeway.dev/"))
        );
        let labels = role["metadata"]["labels"].as_object().context("labels")?;
        let views = labels.contains_key("rbac.authorization.k8s.io/aggregate-to-view");
        let verbs: BTreeSet<String> = rights(role)?.into_values().flatten().collect();
        ensure!(views != verbs.contains("patch"), "who views does not write");
    }
    Ok(())
}

#[test]
fn without_rbac_nothing_is_granted() -> Result<()> {
    let values = json!({
        "sites": ["ie"], "rbac": {"create": false, "aggregateToUserRoles": false},
    });
    let objects = chart()?.render(&values)?;
    for kind in ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"] {
        ensure!(of_kind(&objects, kind).is_empty(), "{kind}");
    }
    Ok(())
}

#[test]
fn plain_manifests_and_the_page_about_rights_have_the_same_table() -> Result<()> {
    for path in ["deploy/base/role.yaml", "deploy/overlays/cluster/role.yaml"] {
        let documents = super::documents(&read(path)?)?;
        let role = documents.first().context("a role")?;
        ensure!(rights(role)? == table(), "{path}");
    }
    let page = read("docs/install.md")?;
    for (resource, verbs) in table() {
        let (_, name) = resource.split_once('/').context("a group")?;
        let is_row = |line: &&str| line.starts_with('|') && line.contains(&format!("`{name}`"));
        let row = page
            .lines()
            .find(is_row)
            .with_context(|| format!("{name} in docs/install.md"))?;
        let told: BTreeSet<String> = row
            .split('|')
            .nth(2)
            .context("verbs")?
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        ensure!(told == verbs, "docs/install.md says of {name}: {row}");
    }
    Ok(())
}

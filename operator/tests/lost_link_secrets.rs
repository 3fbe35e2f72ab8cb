//! The Secret of one link is lost, and nothing but that link is as it was before: above all whose access is taken is out.

mod cluster;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_broker::config::file::{BrokerFile, LinkAuthMode, SecretsFile, UsersFile};
use causeway_operator::api::condition::Reason;
use causeway_operator::finding::{Finding, Subject};
use causeway_operator::model::observed::ChildKind;
use causeway_operator::network::references;
use causeway_operator::render;
use serde_json::json;

use self::cluster::{COUNTRIES, Cluster};

/// The three files of a site, as they are wanted.
struct Files {
    broker: BrokerFile,
    secrets: SecretsFile,
    users: UsersFile,
}

impl Files {
    fn links(&self) -> Vec<&str> {
        self.broker
            .links
            .iter()
            .map(|link| link.name.as_str())
            .collect()
    }

    fn users(&self) -> BTreeSet<&str> {
        self.users
            .users
            .iter()
            .map(|user| user.name.as_str())
            .collect()
    }
}

/// Two of the countries.
fn countries() -> Cluster {
    Cluster::new(COUNTRIES, &["ie", "uk"])
}

fn config(site: &str) -> String {
    format!("mcollective--{site}-config")
}

fn data(cluster: &Cluster, site: &str) -> BTreeMap<String, Vec<u8>> {
    let desired = cluster.build();
    let secret = cluster::object(&desired, ChildKind::Secret, &config(site));
    let data = secret["data"].as_object().expect("data");
    let bytes = |text: &serde_json::Value| STANDARD.decode(text.as_str().expect("text"));
    let files = data.iter();
    files
        .map(|(name, text)| (name.clone(), bytes(text).expect("base64")))
        .collect()
}

fn files(cluster: &Cluster, site: &str) -> Files {
    let data = data(cluster, site);
    Files {
        broker: serde_yaml::from_slice(&data[render::BROKER]).expect("broker.yaml"),
        secrets: serde_yaml::from_slice(&data[render::SECRETS]).expect("secrets.yaml"),
        users: serde_yaml::from_slice(&data[render::USERS]).expect("users.yaml"),
    }
}

/// What is wanted now is delivered.
fn deliver(cluster: &mut Cluster) {
    for site in ["ie", "uk"] {
        let data = data(cluster, site);
        cluster.declared.secrets.insert(config(site), data);
    }
}

fn lose(cluster: &mut Cluster, secret: &str) {
    cluster
        .declared
        .secrets
        .remove(secret)
        .expect("it was there");
}

fn change(cluster: &mut Cluster, change: impl FnOnce(&mut serde_json::Value)) {
    let mut value = serde_json::to_value(&cluster.declared.network).expect("JSON");
    change(&mut value["spec"]);
    cluster.declared.network = serde_json::from_value(value).expect("a network");
}

/// What is said of a link.
fn said(cluster: &Cluster, link: &str) -> Finding {
    let (_, findings) = cluster.validate().expect("it goes on");
    let subject = Subject::Link(link.to_owned());
    let mut findings = findings.into_iter();
    findings
        .find(|finding| finding.subject == subject)
        .expect("a finding")
}

#[test]
fn a_link_whose_secret_is_lost_goes_on_and_whoever_is_revoked_is_out_all_the_same() {
    let mut cluster = countries();
    let before = files(&cluster, "ie");
    deliver(&mut cluster);
    lose(&mut cluster, "link-ie-uk");
    cluster.declared.users.remove("amq").expect("a user");
    change(&mut cluster, |spec| spec["deniedSites"] = json!(["us"]));
    for site in ["ie", "uk"] {
        let after = files(&cluster, site);
        assert!(!after.users().contains("amq"), "{:?}", after.users());
        assert_eq!(after.broker.denied_sites, ["us"]);
        assert_eq!(
            after.secrets.links["ie-uk"].current,
            before.secrets.links["ie-uk"].current
        );
    }
    assert_eq!(files(&cluster, "ie").links(), before.links());
    let said = said(&cluster, "ie-uk");
    assert_eq!(said.cause, Reason::SecretNotFound);
    assert!(
        said.reason.contains("Secret link-ie-uk is missing"),
        "{said:?}"
    );
    let help = said.help.unwrap_or_default();
    assert_eq!(help, "link ie-uk goes on with the password in force");
}

#[test]
fn a_secret_that_is_spoilt_or_not_given_is_as_good_as_lost() {
    let mut cluster = countries();
    let before = files(&cluster, "ie").secrets.links["ie-uk"].current.clone();
    deliver(&mut cluster);
    let spoilt = BTreeMap::from([("current".to_owned(), vec![0xff])]);
    cluster
        .declared
        .secrets
        .insert("link-ie-uk".to_owned(), spoilt);
    assert_eq!(files(&cluster, "ie").secrets.links["ie-uk"].current, before);
    assert_eq!(said(&cluster, "ie-uk").cause, Reason::SecretMalformed);
    lose(&mut cluster, "link-ie-uk");
    let words = "secrets \"link-ie-uk\" is forbidden".to_owned();
    cluster
        .declared
        .unread
        .insert("Secret link-ie-uk".to_owned(), words);
    assert_eq!(files(&cluster, "ie").secrets.links["ie-uk"].current, before);
    let said = said(&cluster, "ie-uk");
    assert_eq!(said.cause, Reason::Forbidden);
    assert!(said.reason.ends_with("is forbidden"), "{said:?}");
}

#[test]
fn a_password_that_ends_with_a_line_break_takes_nothing_that_is_in_force() {
    let mut cluster = countries();
    let before = files(&cluster, "ie");
    deliver(&mut cluster);
    let mut append = |secret: &str, key: &str| {
        let data = cluster.declared.secrets.get_mut(secret).expect("a Secret");
        data.get_mut(key).expect("a key").push(b'\n');
    };
    append("link-ie-uk", "current");
    append("user-amq", "password");
    let link = said(&cluster, "ie-uk");
    assert_eq!(link.cause, Reason::SecretMalformed);
    assert!(link.reason.contains("ends with a line break"), "{link:?}");
    let help = link.help.unwrap_or_default();
    assert_eq!(help, "link ie-uk goes on with the password in force");
    let (_, findings) = cluster.validate().expect("it goes on");
    let subject = Subject::User("amq".to_owned());
    let mut findings = findings.iter();
    let user = findings.find(|finding| finding.subject == subject);
    let user = user.expect("a finding");
    assert_eq!(user.cause, Reason::SecretMalformed);
    assert!(user.reason.contains("`printf %s`"), "{user:?}");
    let after = files(&cluster, "ie");
    assert_eq!(after.secrets.links, before.secrets.links);
    let of_amq = |files: &Files| {
        let mut users = files.users.users.iter();
        let user = users.find(|user| user.name == "amq").expect("amq");
        user.verifiers.clone()
    };
    assert_eq!(of_amq(&after), of_amq(&before));
}

#[test]
fn a_link_that_was_never_in_force_is_left_out_and_the_documents_count_as_the_same() {
    let mut cluster = countries();
    let hash = cluster.valid().spec_hash;
    lose(&mut cluster, "link-ie-uk");
    let ie = files(&cluster, "ie");
    assert!(!ie.links().contains(&"ie-uk"), "{:?}", ie.links());
    assert!(!ie.secrets.links.contains_key("ie-uk"));
    assert!(ie.links().contains(&"ie-us"), "{:?}", ie.links());
    assert!(files(&cluster, "uk").links().contains(&"uk-us"));
    assert_eq!(ie.broker.spec_hash, Some(hash));
    let help = said(&cluster, "ie-uk").help.unwrap_or_default();
    assert_eq!(help, "link ie-uk is left out until then");
}

#[test]
fn the_password_of_a_link_is_not_kept_for_one_that_leads_to_another_site() {
    let mut cluster = countries();
    deliver(&mut cluster);
    lose(&mut cluster, "link-ie-uk");
    change(&mut cluster, |spec| {
        let links = spec["links"].as_array_mut().expect("links");
        links.retain(|link| link["name"] != "ie-us");
        let link = links.iter_mut().find(|link| link["name"] == "ie-uk");
        link.expect("a link")["between"] = json!(["ie", "us"]);
    });
    let ie = files(&cluster, "ie");
    assert!(!ie.links().contains(&"ie-uk"), "{:?}", ie.links());
}

#[test]
fn links_that_run_with_certificates_wait_for_the_passwords_that_are_to_come_beside_them() {
    let mut cluster = countries();
    let tls = json!({"source": "Secret", "trustBundleRef": {"name": "roots"}});
    change(&mut cluster, |spec| {
        spec["tls"] = tls;
        spec["linkAuth"]["mode"] = json!("MTLS");
    });
    deliver(&mut cluster);
    lose(&mut cluster, "link-ie-uk");
    change(&mut cluster, |spec| {
        spec["linkAuth"]["mode"] = json!("PasswordAndMTLS")
    });
    let ie = files(&cluster, "ie");
    assert_eq!(ie.broker.link_auth, LinkAuthMode::Mtls);
    assert!(ie.links().contains(&"ie-uk"), "{:?}", ie.links());
    let help = said(&cluster, "ie-uk").help.unwrap_or_default();
    assert_eq!(help, "link ie-uk goes on with certificates alone");
    // Without certificates there would be nothing that a link could run with.
    change(&mut cluster, |spec| {
        spec["linkAuth"]["mode"] = json!("Password");
        spec["tls"] = json!(null);
    });
    let ie = files(&cluster, "ie");
    assert_eq!(ie.broker.link_auth, LinkAuthMode::Password);
    assert!(!ie.links().contains(&"ie-uk"), "{:?}", ie.links());
}

#[test]
fn secrets_of_the_operator_are_never_among_those_that_one_can_do_without() {
    let mut cluster = countries();
    let local = ["ie", "uk"].map(str::to_owned).into();
    let found = |cluster: &Cluster| {
        let spec = &cluster.declared.network.spec;
        references::references("mcollective", spec, &cluster.declared.users, &local)
    };
    assert!(found(&cluster).of_one.contains("link-ie-uk"));
    change(&mut cluster, |spec| {
        spec["links"][0]["credentials"] = json!({"secretRef": {"name": "mcollective--ie-config"}});
    });
    let found = found(&cluster);
    assert!(
        !found.of_one.contains("mcollective--ie-config"),
        "{found:?}"
    );
    assert!(found.secrets.contains("mcollective--ie-config"));
}

#[test]
fn certificates_and_roots_that_are_not_given_hold_nobody_up_either() {
    let mut cluster = countries();
    change(&mut cluster, |spec| {
        spec["tls"] = json!({"source": "Secret", "trustBundleRef": {"name": "roots"}});
    });
    let unread = &mut cluster.declared.unread;
    for object in ["Secret mcollective--ie-tls", "ConfigMap roots"] {
        unread.insert(object.to_owned(), "it is forbidden".to_owned());
    }
    cluster.declared.users.remove("amq").expect("a user");
    assert!(!files(&cluster, "ie").users().contains("amq"));
    let (_, findings) = cluster.validate().expect("it goes on");
    let is_forbidden = |finding: &&Finding| finding.cause == Reason::Forbidden;
    assert_eq!(
        findings.iter().filter(is_forbidden).count(),
        2,
        "{findings:#?}"
    );
    let told: Vec<String> = findings.into_iter().map(|finding| finding.reason).collect();
    for expected in [
        "Secret mcollective--ie-tls with tls.crt and tls.key cannot be read: it is forbidden",
        "Secret mcollective--uk-tls with tls.crt and tls.key is missing",
        "ConfigMap roots with the key ca.crt cannot be read: it is forbidden",
    ] {
        assert!(told.iter().any(|one| one == expected), "{told:#?}");
    }
}

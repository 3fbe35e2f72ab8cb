//! The commands that ask a cluster: what they show, what they refuse, and that a support bundle holds no secret.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_e2e::kubernetes::{Cluster, Level, Operator};
use causeway_e2e::process::{self, Finished, Folder, causeway, files, run};
use causeway_e2e::wait::{self, PATIENCE};
use serde_json::Value;

use super::countries;
use super::operator::Place;

/// `causeway` with the administrator's kubeconfig, in a folder where nothing runs.
fn ask(place: &Place, folder: &Path, arguments: &[&str]) -> Result<Finished> {
    ask_as(place, place.cluster.kubeconfig(), folder, arguments)
}

fn ask_as(place: &Place, kubeconfig: &Path, folder: &Path, arguments: &[&str]) -> Result<Finished> {
    let mut command = Command::new(causeway()?);
    command
        .args(arguments)
        .current_dir(folder)
        .env("KUBECONFIG", kubeconfig);
    place.cluster.inside(|| run(&mut command, PATIENCE))
}

fn ends(finished: &Finished, code: i32, said: &[&str]) -> Result<()> {
    let text = finished.output();
    ensure!(finished.code == Some(code), "{:?}: {text}", finished.code);
    for part in said {
        ensure!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    Ok(())
}

/// The README's network with an operator for ie, whose broker never runs here.
fn observed(namespace: &'static str) -> Result<Place> {
    let place = Place::new(namespace)?;
    place.apply(&countries()?)?;
    let operator = Operator::start(&place.cluster, "ie", namespace)?;
    operator.wait_settled()?;
    operator.stop()?;
    Ok(place)
}

/// The same with an operator that held a Lease and gave it back when it ended.
fn observed_by_a_leader(namespace: &'static str) -> Result<Place> {
    let place = Place::new(namespace)?;
    place.apply(&countries()?)?;
    let own = format!("--own-namespace={namespace}");
    let operator = Operator::launch(
        &place.cluster,
        place.cluster.kubeconfig(),
        "ie",
        namespace,
        &["--leader-elect=true", &own],
    )?;
    operator.wait_ready()?;
    operator.wait_settled()?;
    operator.stop()?;
    Ok(place)
}

#[test]
fn status_shows_what_the_operator_observes_and_says_by_its_exit_code_whether_that_is_ready()
-> Result<()> {
    const NAMESPACE: &str = "cli-status";
    let place = observed_by_a_leader(NAMESPACE)?;
    let folder = Folder::new()?;
    let shown = ask(
        &place,
        folder.path(),
        &["status", "mcollective", "-n", NAMESPACE],
    )?;
    let rows = [
        "no operator has been heard of: nobody holds the Lease cli-status/causeway-operator;",
        "network mcollective in cli-status, generation 1, seen by cli-status/causeway-operator",
        "CONDITION",
        "Ready",
        "Reconciling",
        "SITE  RUNS",
        "ie    here",
        "uk    elsewhere",
        "LINK",
        "ie-uk",
    ];
    ends(&shown, 1, &rows)?;
    println!("{}", shown.stdout);
    let only = ask(&place, folder.path(), &["status", "-n", NAMESPACE])?;
    ensure!(
        only.stdout.contains("network mcollective in cli-status"),
        "{}",
        only.output()
    );
    let tls = ask(&place, folder.path(), &["status", "-n", NAMESPACE, "--tls"])?;
    ends(&tls, 1, &["the network declares no spec.tls"])?;
    let json = ask(
        &place,
        folder.path(),
        &["status", "-n", NAMESPACE, "-o", "json"],
    )?;
    let json: Value = serde_json::from_str(&json.stdout).with_context(|| json.output())?;
    ensure!(
        json["networks"][0]["ready"] == false
            && json["networks"][0]["operator"]["heard"] == false
            && json["networks"][0]["status"]["sites"][0]["name"] == "ie",
        "{json:#}"
    );
    place.kubectl(&["delete", "lease", "causeway-operator"])?;
    let unknown = ask(&place, folder.path(), &["status", "-n", NAMESPACE])?;
    ends(&unknown, 1, &[rows[1]])?;
    ensure!(
        !unknown.stdout.contains("heard of"),
        "without a Lease nobody knows: {}",
        unknown.output()
    );
    // As a plugin of kubectl the cluster comes first, whatever ran here.
    let plugin = folder.path().join("kubectl-causeway");
    std::os::unix::fs::symlink(causeway()?, &plugin)?;
    let mut command = Command::new(&plugin);
    command
        .args(["status", "-A"])
        .env("KUBECONFIG", place.cluster.kubeconfig());
    let all = place.cluster.inside(|| run(&mut command, PATIENCE))?;
    ensure!(all.stdout.contains("mcollective"), "{}", all.output());
    Ok(())
}

#[test]
fn status_says_what_is_missing_and_what_to_do() -> Result<()> {
    const NAMESPACE: &str = "cli-refused";
    let place = Place::new(NAMESPACE)?;
    place.apply(&countries()?)?;
    let folder = Folder::new()?;
    let misspelt = ask(
        &place,
        folder.path(),
        &["status", "mcolective", "-n", NAMESPACE],
    )?;
    let hint = "there is no BrokerNetwork mcolective in namespace cli-refused: there is mcollective; did you mean mcollective?";
    ends(&misspelt, 2, &[hint])?;
    let empty = ask(&place, folder.path(), &["status", "-n", "kube-public"])?;
    ends(
        &empty,
        2,
        &[
            "there is no BrokerNetwork in namespace kube-public",
            "-n NAMESPACE",
        ],
    )?;
    let context = ask(&place, folder.path(), &["status", "--context", "nowhere"])?;
    ends(&context, 2, &["it has the contexts"])?;
    place.kubectl(&["create", "serviceaccount", "nobody"])?;
    let nobody = place.cluster.account_kubeconfig(NAMESPACE, "nobody")?;
    for arguments in [&["status", "mcollective"][..], &["dump", "mcollective"]] {
        let forbidden = ask_as(&place, &nobody, folder.path(), arguments)?;
        ends(
            &forbidden,
            3,
            &["ask for the right to get brokernetworks.causeway.dev"],
        )?;
    }
    let gone = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}}]\n\
        contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t}}]\n";
    let path = folder.path().join("gone.kubeconfig");
    std::fs::write(&path, gone)?;
    let silent = ask_as(&place, &path, folder.path(), &["status"])?;
    ends(
        &silent,
        3,
        &["reading brokernetworks.causeway.dev from the API server"],
    )?;
    Ok(())
}

#[test]
fn status_watch_tells_a_change_when_it_happens() -> Result<()> {
    const NAMESPACE: &str = "cli-watch";
    let place = Place::new(NAMESPACE)?;
    place.apply(&countries()?)?;
    let folder = Folder::new()?;
    let mut command = Command::new(causeway()?);
    command
        .args(["status", "mcollective", "-n", NAMESPACE, "--watch"])
        .current_dir(folder.path())
        .env("KUBECONFIG", place.cluster.kubeconfig())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = place.cluster.inside(|| Ok(command.spawn()?))?;
    let output = child.stdout.take().context("no output")?;
    let (told, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                break;
            }
        }
    });
    let until = |word: &str| {
        wait::until(word, PATIENCE, || {
            Ok(lines
                .try_iter()
                .any(|line| line.contains(word))
                .then_some(()))
        })
    };
    let watched = until("generation 1").and_then(|()| {
        let patch = r#"{"spec":{"settings":{"maxConnections":77}}}"#;
        place.kubectl(&[
            "patch",
            "brokernetwork",
            "mcollective",
            "--type=merge",
            "--patch",
            patch,
        ])?;
        until("generation 2")
    });
    process::end(&mut child);
    watched
}

#[test]
fn plan_compares_with_what_the_cluster_has_and_reads_no_secret() -> Result<()> {
    const NAMESPACE: &str = "cli-plan";
    let place = Place::new(NAMESPACE)?;
    let documents = countries()?;
    place.apply(&documents)?;
    let folder = Folder::new()?;
    let path = folder.path().join("new.yaml");
    let plan = |text: &str, kubeconfig: &Path| {
        std::fs::write(&path, text)?;
        let arguments = ["plan", "-f", "new.yaml", "--cluster", "-n", NAMESPACE];
        ask_as(&place, kubeconfig, folder.path(), &arguments)
    };
    // An account that may read networks and users, and no Secret.
    place.kubectl(&["create", "serviceaccount", "reader"])?;
    let resource = "--resource=brokernetworks.causeway.dev,brokerusers.causeway.dev";
    place.kubectl(&["create", "role", "reader", "--verb=get,list", resource])?;
    let subject = format!("--serviceaccount={NAMESPACE}:reader");
    place.kubectl(&["create", "rolebinding", "reader", "--role=reader", &subject])?;
    let reader = place.cluster.account_kubeconfig(NAMESPACE, "reader")?;
    let same = plan(&documents, &reader)?;
    ends(&same, 0, &["nothing changes in network mcollective"])?;
    let edited = plan(&documents.replace("cost: 50", "cost: 60"), &reader)?;
    ends(&edited, 0, &["links[ie-us].cost", "50 -> 60"])?;
    let other = plan(&documents.replace("mcollective", "other-net"), &reader)?;
    ends(
        &other,
        2,
        &["there is no BrokerNetwork other-net in namespace cli-plan: there is mcollective"],
    )?;
    let nowhere = PathBuf::from("/nowhere");
    let none = plan(&documents, &nowhere)?;
    ends(&none, 2, &["no kubeconfig was found", "--kubeconfig FILE"])?;
    Ok(())
}

/// Every value of every Secret of a namespace that nobody may see.
fn secret_values(place: &Place) -> Result<Vec<(String, Vec<u8>)>> {
    let list = place.json(&["get", "secrets"])?;
    let mut values = Vec::new();
    for secret in list["items"].as_array().context("no items")? {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default();
        for (key, value) in secret["data"].as_object().into_iter().flatten() {
            let is_public =
                ["username", "tls.crt", "ca.crt", "broker.yaml"].contains(&key.as_str());
            let bytes = STANDARD.decode(value.as_str().unwrap_or_default())?;
            if !is_public && bytes.len() >= 6 {
                values.push((format!("{name}/{key}"), bytes));
            }
        }
    }
    Ok(values)
}

/// Fails where a secret value is in a file, as it is or in base64.
fn no_secret_in(files: &BTreeMap<String, Vec<u8>>, values: &[(String, Vec<u8>)]) -> Result<()> {
    for (secret, value) in values {
        let encoded = STANDARD.encode(value).into_bytes();
        let trimmed = value.trim_ascii().to_vec();
        for (file, bytes) in files {
            let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
            ensure!(
                !holds(&trimmed) && !holds(&encoded),
                "{file} holds the value of {secret}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_support_bundle_holds_every_object_and_no_value_of_any_secret() -> Result<()> {
    const NAMESPACE: &str = "cli-dump";
    let place = observed(NAMESPACE)?;
    // Values turn up where nobody expects them: in an annotation, and in an event of an object of the network.
    let planted = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"planted","labels":{"causeway.dev/network":"mcollective"},
        "annotations":{"note":"canary-in-annotation-4711"}},"stringData":{"token":"canary-in-annotation-4711","other":"canary-two-0815-canary"}}"#;
    place.apply(planted)?;
    let event = format!(
        r#"{{"apiVersion":"v1","kind":"Event","metadata":{{"name":"leak"}},"involvedObject":{{"kind":"BrokerNetwork",
        "name":"mcollective","namespace":"{NAMESPACE}"}},"message":"refused canary-two-0815-canary","reason":"Leak","type":"Warning"}}"#
    );
    place.apply(&event)?;
    let values = secret_values(&place)?;
    ensure!(values.len() >= 10, "only {} values", values.len());
    let folder = Folder::new()?;
    let dumped = ask(
        &place,
        folder.path(),
        &["dump", "mcollective", "-n", NAMESPACE, "-o", "bundle"],
    )?;
    ends(
        &dumped,
        0,
        &["bundle: ", "left out: operator: no pod in default"],
    )?;
    let found = files(&folder.path().join("bundle"))?;
    no_secret_in(&found, &values)?;
    for name in [
        "README.txt",
        "index.json",
        "status.txt",
        "findings.txt",
        "versions.yaml",
        "events.yaml",
        "objects/brokernetworks/mcollective.yaml",
        "objects/brokerusers/amq.yaml",
        "objects/deployments/mcollective--ie.yaml",
        "objects/services/mcollective--ie-stomp.yaml",
        "objects/endpointslices/",
        "objects/networkpolicies/mcollective--ie.yaml",
        "objects/poddisruptionbudgets/mcollective--ie.yaml",
        "objects/serviceaccounts/mcollective--ie.yaml",
        "objects/replicasets/mcollective--ie",
        "objects/pods/mcollective--ie",
        "objects/secrets/mcollective--ie-config.yaml",
        "objects/secrets/user-amq.yaml",
        "objects/secrets/planted.yaml",
    ] {
        ensure!(
            found.keys().any(|file| file.starts_with(name)),
            "{name} is missing: {:#?}",
            found.keys()
        );
    }
    let text = |name: &str| String::from_utf8_lossy(&found[name]).into_owned();
    ensure!(
        text("objects/secrets/user-amq.yaml").contains("bytes:"),
        "{}",
        text("objects/secrets/user-amq.yaml")
    );
    ensure!(
        text("events.yaml").contains("refused <redacted: planted/other>"),
        "{}",
        text("events.yaml")
    );
    // A pod that does not run is named with the reason.
    ensure!(
        text("README.txt").contains("metrics.txt: the pod is Pending"),
        "{}",
        text("README.txt")
    );
    // The same as a packed file, under the name that it is given without being asked.
    let packed = ask(&place, folder.path(), &["dump", "-n", NAMESPACE])?;
    ends(&packed, 0, &[])?;
    let archive = packed
        .stdout
        .split(':')
        .next()
        .context("no name")?
        .to_owned();
    run(
        Command::new("tar")
            .args(["xzf", &archive])
            .current_dir(folder.path()),
        PATIENCE,
    )?
    .success("tar")?;
    let unpacked = files(&folder.path().join(archive.trim_end_matches(".tar.gz")))?;
    no_secret_in(&unpacked, &values)?;
    ensure!(unpacked.keys().eq(found.keys()), "{:#?}", unpacked.keys());
    println!(
        "{} parts, {} values of Secrets in none of them",
        found.len(),
        values.len()
    );
    Ok(())
}

#[test]
fn a_support_bundle_goes_on_where_rights_are_missing_and_names_them() -> Result<()> {
    const NAMESPACE: &str = "cli-dump-rights";
    let place = observed(NAMESPACE)?;
    place.kubectl(&["create", "serviceaccount", "reader"])?;
    let resource = "--resource=brokernetworks.causeway.dev,brokerusers.causeway.dev,services";
    place.kubectl(&["create", "role", "reader", "--verb=get,list", resource])?;
    let subject = format!("--serviceaccount={NAMESPACE}:reader");
    place.kubectl(&["create", "rolebinding", "reader", "--role=reader", &subject])?;
    let reader = place.cluster.account_kubeconfig(NAMESPACE, "reader")?;
    let folder = Folder::new()?;
    let dumped = ask_as(&place, &reader, folder.path(), &["dump", "-o", "bundle"])?;
    let said = [
        "left out: objects/secrets/user-amq.yaml: secrets \"user-amq\" is forbidden",
        "left out: objects/deployments: deployments.apps is forbidden",
        "left out: events.yaml: events is forbidden",
        "left out: pods: pods is forbidden",
    ];
    ends(&dumped, 0, &said)?;
    let found = files(&folder.path().join("bundle"))?;
    ensure!(
        found.contains_key("objects/services/mcollective--ie-stomp.yaml"),
        "{:#?}",
        found.keys()
    );
    let readme = String::from_utf8_lossy(&found["README.txt"]).into_owned();
    ensure!(
        readme.contains("objects/deployments: deployments.apps is forbidden"),
        "{readme}"
    );
    Ok(())
}

#[test]
fn full_node_a_support_bundle_has_pages_and_logs_of_running_brokers() -> Result<()> {
    const NAMESPACE: &str = "cli-dump-pods";
    let cluster = Cluster::shared(Level::FullNode)?;
    cluster.import_images()?;
    cluster.provide_load_balancers(1..=99)?;
    let place = Place::on(cluster, NAMESPACE)?;
    place.apply(&countries()?)?;
    let operator = Operator::start(&place.cluster, "ie,uk", NAMESPACE)?;
    let ready = [
        "wait",
        "--for=condition=Ready",
        "brokernetwork/mcollective",
        "--timeout=90s",
    ];
    place.kubectl(&ready).with_context(|| operator.log())?;
    let folder = Folder::new()?;
    let status = ask(&place, folder.path(), &["status", "-n", NAMESPACE])?;
    ends(&status, 0, &["ie    here", "Running", "applied "])?;
    println!("{}", status.stdout);
    let dumped = ask(
        &place,
        folder.path(),
        &["dump", "-n", NAMESPACE, "-o", "bundle"],
    )?;
    ends(&dumped, 0, &[])?;
    let found = files(&folder.path().join("bundle"))?;
    no_secret_in(&found, &secret_values(&place)?)?;
    for site in ["ie", "uk"] {
        let part = |end: &str| {
            let start = format!("pods/mcollective--{site}-");
            let mut parts = found.iter();
            let part = parts.find(|(name, _)| name.starts_with(&start) && name.ends_with(end));
            let text = part.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
            text.with_context(|| {
                format!(
                    "no {end} of {site}: {}\n{:#?}",
                    dumped.output(),
                    found.keys()
                )
            })
        };
        let page: Value = serde_json::from_str(&part("/status.json")?)?;
        ensure!(page["site"] == site, "{page:#}");
        ensure!(part("/metrics.txt")?.contains("causeway_"));
        ensure!(!part("/broker.log")?.is_empty());
    }
    println!("{} parts\n{}", found.len(), dumped.output());
    operator.stop()
}

//! A support bundle of a network that `causeway up` runs: what helps is in it, and no secret.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use causeway_e2e::certificates::SiteCertificates;
use causeway_e2e::document::{Document, NETWORK, Shape};
use causeway_e2e::network::Network;
use causeway_e2e::process::{causeway, files, run};
use causeway_e2e::wait::PATIENCE;
use serde_json::Value;

/// What must not be told: what a broker's secret files hold behind their keys, and its key.
fn secrets(state: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for site in ["ie", "uk"] {
        let config = state.join("sites").join(site).join("config");
        for name in ["secrets.yaml", "users.yaml"] {
            let text = std::fs::read_to_string(config.join(name)).context(name)?;
            let values = text.lines().filter_map(|line| {
                let (key, value) = line.trim().trim_start_matches("- ").split_once(": ")?;
                let is_secret = matches!(key, "current" | "previous" | "admin_token");
                is_secret.then(|| value.to_owned())
            });
            let hashes = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("- $argon2"));
            found.extend(hashes.map(|hash| format!("$argon2{hash}")));
            found.extend(values);
        }
        found.extend(key_lines(&config.join("tls/tls.key"))?);
    }
    found.extend(key_lines(&state.join("ca/ca.key"))?);
    Ok(found)
}

/// The lines of a private key, where there is one: links with passwords need none.
fn key_lines(path: &Path) -> Result<Vec<String>> {
    let text = match path.exists() {
        true => std::fs::read_to_string(path)?,
        false => String::new(),
    };
    let secret = text.lines().filter(|line| !line.starts_with('-'));
    Ok(secret.map(str::to_owned).collect())
}

#[test]
fn a_bundle_of_a_local_network_has_its_files_logs_and_pages_and_no_secret() -> Result<()> {
    let sites = ["ie", "uk"];
    let mut document = Document::new(Shape::Chain, &sites);
    document.tls = Some(SiteCertificates::make(NETWORK, &sites)?);
    let network = Network::up(document)?;
    let state = network.folder().join("state");
    let mut secrets = secrets(&state)?;
    secrets.extend(
        network
            .document
            .users
            .values()
            .map(|user| user.password.clone()),
    );
    ensure!(secrets.len() >= 8, "only {} secrets", secrets.len());
    // With `-o json`, as here, brokers log into the pipe of `up`; for people they log into these files. What is secret
    // may stand in one.
    for site in ["ie", "uk"] {
        let log = state.join("sites").join(site).join("broker.log");
        std::fs::write(log, format!("leaked {}\n", secrets[0]))?;
    }
    let dump = |output: &str| {
        let mut command = Command::new(causeway()?);
        command
            .args(["dump", "-o", output, "--state"])
            .arg(&state)
            .current_dir(network.folder());
        run(&mut command, PATIENCE)?.success("causeway dump")
    };
    let said = dump("bundle")?;
    ensure!(
        said.stdout.contains("nothing was left out"),
        "{}",
        said.output()
    );
    let found = files(&network.folder().join("bundle"))?;
    for (name, bytes) in &found {
        let text = String::from_utf8_lossy(bytes);
        let leaked = secrets.iter().find(|secret| text.contains(secret.as_str()));
        ensure!(leaked.is_none(), "{name} holds {leaked:?}");
    }
    for site in ["ie", "uk"] {
        let part = |name: &str| {
            let bytes = found.get(&format!("sites/{site}/{name}"));
            bytes.with_context(|| format!("no {name} in {:#?}", found.keys()))
        };
        let page: Value = serde_json::from_slice(part("status.json")?)?;
        ensure!(page["site"] == site, "{page:#}");
        ensure!(String::from_utf8_lossy(part("metrics.txt")?).contains("causeway_"));
        ensure!(String::from_utf8_lossy(part("config/users.yaml")?).contains("<redacted>"));
        ensure!(!part("broker.log")?.is_empty());
        part("config/broker.yaml")?;
        part("config/tls/tls.key.size")?;
    }
    // Another one of the name is never written over, and a network that is down is dumped as far as it is there.
    ensure!(dump("bundle").is_err());
    network.kill("uk")?;
    let folder = network.folder().to_owned();
    dump("packed.tar.gz")?;
    ensure!(folder.join("packed.tar.gz").is_file());
    network.stop()
}

//! `type: Generated` under `causeway up`: made once, kept where only its owner reads it, never printed, rotated live.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::document::{Document, NETWORK, Shape, secret};
use causeway_e2e::events::Event;
use causeway_e2e::network::Network;
use causeway_e2e::process::{Folder, causeway, run};
use causeway_e2e::wait;

fn user(rotation: &str) -> String {
    format!(
        "---
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {{name: made}}
spec:
  networkRef: {{name: {NETWORK}}}
  username: Made
  sites: {{names: [ie]}}
  groups: [admins]
  credentials: {{type: Generated, generated: {{rotation: \"{rotation}\"}}}}
"
    )
}

fn state(network: &Network, name: &str) -> PathBuf {
    network.folder().join("state").join(name)
}

/// Changes the user and returns the password that the state folder holds then.
fn rotate(network: &Network, rotation: &str) -> Result<String> {
    let mark = network.events.mark();
    let documents = [network.document.to_yaml(), user(rotation)].concat();
    network.write_file(&documents)?;
    let is_end = |event: &Event| matches!(event.kind(), "applied" | "error");
    let event = network.events.wait(mark, "applied", wait::START, is_end)?;
    ensure!(event.kind() == "applied", "{}", event.value);
    Ok(std::fs::read_to_string(state(network, "passwords/made"))?)
}

#[test]
fn a_generated_password_is_in_the_state_folder_and_nowhere_else() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    let first = rotate(&network, "1")?;
    ensure!(first.len() == 32, "{} characters", first.len());
    for file in ["passwords/made", "generated.json"] {
        let mode = state(&network, file).metadata()?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{file} has mode {mode:o}");
    }
    let login = |site: &str, password: &str| Client::connect(network.port(site)?, "Made", password);
    login("ie", &first)?.disconnect()?;
    ensure!(
        login("uk", &first).is_err(),
        "a site that does not know the user"
    );
    let mut publish = Command::new(causeway()?);
    let address = format!("stomp://127.0.0.1:{}", network.port("ie")?);
    publish
        .args(["pub", &address, "/topic/news", "hello", "--user", "Made"])
        .arg("--password-file")
        .arg(state(&network, "passwords/made"));
    run(&mut publish, wait::PATIENCE)?.success("causeway pub")?;

    let second = rotate(&network, "2")?;
    ensure!(second != first);
    login("ie", &second)?.disconnect()?;
    login("ie", &first)?.disconnect()?;
    let third = rotate(&network, "3")?;
    login("ie", &third)?.disconnect()?;
    login("ie", &second)?.disconnect()?;
    ensure!(
        login("ie", &first).is_err(),
        "it was dropped by the second rotation"
    );
    let logs = network.logs()?;
    for password in [&first, &second, &third] {
        ensure!(!logs.contains(password.as_str()), "it is in a log");
        let events = format!("{:?}", network.events.since(0));
        ensure!(!events.contains(password.as_str()), "it is printed");
    }
    network.stop()
}

#[test]
fn a_secret_in_the_place_of_a_generated_password_is_an_error_and_makes_nothing() -> Result<()> {
    let folder = Folder::new()?;
    let documents = [
        Document::new(Shape::Chain, &["ie", "uk"]).to_yaml(),
        user("1"),
        secret("made-credentials", &[("password", "theirs")]),
    ];
    std::fs::write(folder.path().join("network.yaml"), documents.concat())?;
    let mut up = causeway_e2e::network::up_command(folder.path(), 61_610)?;
    let finished = run(&mut up, wait::PATIENCE)?;
    let told = finished.output();
    ensure!(told.contains("made-credentials is there"), "{told}");
    ensure!(!folder.path().join("state").exists());
    ensure!(finished.code == Some(2), "exit code {:?}", finished.code);
    Ok(())
}

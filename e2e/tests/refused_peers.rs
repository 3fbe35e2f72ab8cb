//! A broker that does not belong is refused, and both sides say why.

use anyhow::{Context, Result, ensure};
use causeway_e2e::document::{Document, MCOLLECTIVE, NETWORK, Shape, link_password};
use causeway_e2e::network::Network;
use causeway_e2e::process::Folder;
use causeway_e2e::stranger::{Claim, Stranger};
use causeway_e2e::traffic::Traffic;
use causeway_e2e::wait;

const REFUSALS: &str = "causeway_mesh_refusals_total";

/// Starts a broker with the claim, and waits until both sides tell the same reason everywhere.
fn is_refused(network: &Network, claim: &Claim<'_>, reason: &str) -> Result<()> {
    // Not below the network's folder: its log must not be taken for the network's.
    let folder = Folder::new()?;
    let stranger = Stranger::start(folder.path(), claim)?;
    network.metric_reaches(claim.peer, REFUSALS, &[("reason", reason)], 1.0)?;
    wait::until("the stranger to count it", wait::PATIENCE, || {
        let count = stranger.scrape()?.sum(REFUSALS, &[("reason", reason)]);
        Ok((count >= 1.0).then_some(()))
    })
    .with_context(|| stranger.log())?;
    wait::until("the stranger's status", wait::PATIENCE, || {
        let status = stranger.status()?.to_string();
        Ok((status.contains("refused") && status.contains(reason)).then_some(()))
    })?;
    wait::until("the peer's status", wait::PATIENCE, || {
        let status = network.status(claim.peer)?.to_string();
        Ok(status.contains(reason).then_some(()))
    })?;
    ensure!(stranger.log().contains(reason), "{}", stranger.log());
    ensure!(network.logs()?.contains(reason), "{}", network.log_tail());
    Ok(())
}

#[test]
fn unknown_foreign_and_rival_brokers_are_refused_and_traffic_goes_on() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    let topic = "/topic/mcollective.refused";
    let interval = std::time::Duration::from_millis(10);
    let traffic = Traffic::start(&network, ("ie", "uk"), MCOLLECTIVE, topic, interval)?;
    let password = link_password("ie-uk");
    let honest = Claim {
        network: NETWORK,
        site: "ie",
        peer: "uk",
        link: "ie-uk",
        password: &password,
        peer_port: network.port_of("uk", "link")?,
        base_port: network.spare_port(),
    };

    let unknown = Claim {
        site: "atlantis",
        ..honest
    };
    is_refused(&network, &unknown, "unknown_peer")?;

    let foreign = Claim {
        network: "elsewhere",
        ..honest
    };
    is_refused(&network, &foreign, "network_mismatch")?;

    // The real ie is up: whoever comes second with its name is the rival.
    is_refused(&network, &honest, "duplicate_site")?;

    traffic.go_on(20)?;
    traffic.finish()?.complete()?;
    network.stop()
}

#[test]
fn a_wrong_link_password_is_told_apart_from_a_refusal() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    let claim = Claim {
        network: NETWORK,
        site: "ie",
        peer: "uk",
        link: "ie-uk",
        password: "a-guess-that-is-wrong",
        peer_port: network.port_of("uk", "link")?,
        base_port: network.spare_port(),
    };
    let folder = Folder::new()?;
    let stranger = Stranger::start(folder.path(), &claim)?;
    wait::until("the stranger's status", wait::PATIENCE, || {
        let status = stranger.status()?.to_string();
        Ok(status.contains("auth_failed").then_some(()))
    })
    .with_context(|| stranger.log())?;
    ensure!(
        !network.logs()?.contains(claim.password),
        "the log holds what the stranger sent"
    );
    drop(stranger);
    network.stop()
}

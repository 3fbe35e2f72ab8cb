//! Changes of the file take effect while clients are connected and traffic flows; nobody else
//! notices.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e::certificates::SiteCertificates;
use causeway_e2e::client::Client;
use causeway_e2e::document::{ADMIN, Document, MCOLLECTIVE, NETWORK, Shape, full_entry, link_name};
use causeway_e2e::events::Event;
use causeway_e2e::network::Network;
use causeway_e2e::ports::PER_SITE;
use causeway_e2e::traffic::Traffic;
use causeway_e2e::wait;

const TOPIC: &str = "/topic/mcollective.traffic";
const INTERVAL: Duration = Duration::from_millis(10);

/// Sessions of a removed user are closed within 5 s; a test waits five times that.
const CLOSED: Duration = Duration::from_secs(25);

/// Long enough for a message to arrive that should not.
const QUIET: Duration = Duration::from_millis(700);

fn traffic(network: &Network, from: &str, to: &str) -> Result<Traffic> {
    Traffic::start(network, (from, to), MCOLLECTIVE, TOPIC, INTERVAL)
}

fn login_is_refused(network: &Network, site: &str, user: &str, password: &str) -> Result<()> {
    let error = Client::connect(network.port(site)?, user, password)
        .err()
        .with_context(|| format!("{user} may still log in"))?;
    let text = format!("{error:#}");
    ensure!(text.contains("password is invalid"), "{text}");
    Ok(())
}

#[test]
fn users_come_and_go_and_others_notice_nothing() -> Result<()> {
    let mut network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    let traffic = traffic(&network, "ie", "uk")?;
    login_is_refused(&network, "uk", "guest", "guest-password")?;

    network.change(|document| {
        document.user("guest", &["guests"], "guest-password");
        document
            .entries
            .push(full_entry("topic", "news.>", "guests"));
    })?;
    let mut guest = network.connect("uk", "guest")?;
    // Publishers remember whom a topic goes to; that must not keep a connection open that has ended.
    let mut listener = network.connect("uk", "guest")?;
    listener.subscribe("news", "/topic/news.today", &[])?;
    let mut editor = network.connect("uk", ADMIN)?;
    editor.send_with_receipt("/topic/news.today", &[], "news")?;
    ensure!(listener.message()?.text() == "news");

    network.change(|document| {
        document.users.remove("guest");
    })?;
    guest.expect_close(CLOSED)?;
    listener.expect_close(CLOSED)?;
    login_is_refused(&network, "uk", "guest", "guest-password")?;
    traffic.go_on(20)?;
    traffic.finish()?.complete()?;
    network.stop()
}

#[test]
fn a_site_that_takes_the_place_of_another_gets_its_ports_when_that_one_has_ended() -> Result<()> {
    let mut network = Network::up(Document::new(Shape::Chain, &["ie", "us"]))?;
    let port = network.port("us")?;
    network.change(|document| document.sites = vec!["ie".to_owned(), "zz".to_owned()])?;
    ensure!(
        network.port("zz")? == port,
        "zz has another port than us had"
    );
    let events = network.events.since(0);
    let at = |kind: &str, site: &str| events.iter().position(|event| event.is_about(kind, site));
    let (ended, started) = (at("exit", "us"), at("site", "zz"));
    ensure!(ended.is_some() && ended < started, "{ended:?}, {started:?}");
    network.connect("zz", MCOLLECTIVE)?.disconnect()?;
    network.stop()
}

/// Fault: F24.
#[test]
fn a_subscription_without_its_right_is_silent_and_resumes_with_it() -> Result<()> {
    let entry = full_entry("topic", "news.>", "guests");
    let mut document = Document::new(Shape::Chain, &["ie", "uk"]);
    document.user("guest", &["guests"], "guest-password");
    document.entries.push(entry.clone());
    let mut network = Network::up(document)?;
    let traffic = traffic(&network, "ie", "uk")?;

    let mut guest = network.connect("uk", "guest")?;
    guest.subscribe("news", "/topic/news.today", &[])?;
    let mut editor = network.connect("ie", ADMIN)?;
    hear_again(&mut editor, &mut guest)?;

    network.change(|document| document.entries.retain(|known| *known != entry))?;
    network.metric_reaches("uk", "causeway_subscriptions_withdrawn", &[], 1.0)?;
    for _ in 0..3 {
        editor.send_with_receipt("/topic/news.today", &[], "not for you")?;
    }
    if let Some(frame) = guest.receive(QUIET)? {
        anyhow::bail!("without its right it got {frame:?}");
    }
    guest
        .send_with_receipt("/topic/news.today", &[], "x")
        .err()
        .context("a right that is gone still lets the user send")?;

    network.change(|document| document.entries.push(entry))?;
    hear_again(&mut editor, &mut guest)?;
    traffic.finish()?.complete()?;
    network.stop()
}

/// Publishes until the subscriber hears it: its interest has to travel first.
fn hear_again(editor: &mut Client, guest: &mut Client) -> Result<()> {
    wait::until("the subscription to be served", wait::PATIENCE, || {
        editor.send("/topic/news.today", &[], "news")?;
        let frame = guest.receive(Duration::from_millis(100))?;
        if let Some(frame) = &frame {
            ensure!(frame.text() == "news", "unexpected {frame:?}");
        }
        Ok(frame)
    })?;
    while guest.receive(Duration::from_millis(100))?.is_some() {}
    Ok(())
}

#[test]
fn a_password_is_rotated_while_both_are_valid_and_sessions_stay() -> Result<()> {
    let mut document = Document::new(Shape::Chain, &["ie", "uk"]);
    document.user("guest", &["mcollectiveusers"], "first-password");
    let mut network = Network::up(document)?;
    let traffic = traffic(&network, "ie", "uk")?;
    let port = network.port("ie")?;
    let mut session = network.connect("ie", "guest")?;

    network.change(|document| {
        if let Some(guest) = document.users.get_mut("guest") {
            guest.previous = Some("first-password".to_owned());
            guest.password = "second-password".to_owned();
        }
    })?;
    Client::connect(port, "guest", "first-password")?.disconnect()?;
    let mut newer = Client::connect(port, "guest", "second-password")?;
    session.send_with_receipt(TOPIC_OF_GUEST, &[], "still here")?;

    network.change(|document| {
        if let Some(guest) = document.users.get_mut("guest") {
            guest.previous = None;
        }
    })?;
    login_is_refused(&network, "ie", "guest", "first-password")?;
    newer.send_with_receipt(TOPIC_OF_GUEST, &[], "still here")?;
    traffic.finish()?.complete()?;
    network.stop()
}

const TOPIC_OF_GUEST: &str = "/topic/mcollective.guest";

#[test]
fn links_and_sites_come_and_go_and_no_message_is_lost() -> Result<()> {
    let mut document = Document::new(Shape::Custom, &["ie", "uk", "us"]);
    document.link("ie", "uk", 10);
    document.link("uk", "us", 10);
    let mut network = Network::up(document)?;
    let traffic = traffic(&network, "ie", "us")?;
    traffic.go_on(20)?;

    a_new_link_is_used(&mut network)?;
    network.change(|document| document.links.retain(|link| link.cost != DIRECT))?;
    traffic.go_on(20)?;

    a_new_site_gets_the_traffic(&mut network)?;
    let mark = network.events.mark();
    network.change(|document| {
        document.sites.retain(|site| site != "de");
        document.links.retain(|link| link.to != "de");
    })?;
    // The end may come before the change is reported as in force, so it is looked for from before.
    let is_end = |event: &Event| event.is_about("exit", "de");
    network.events.wait(mark, "end of de", CLOSED, is_end)?;
    traffic.go_on(20)?;
    let report = traffic.finish()?;
    println!("{} messages through all changes", report.sent.len());
    report.complete()?;
    network.stop()
}

/// Cost of the link that is better than the way round.
const DIRECT: u16 = 5;

fn a_new_link_is_used(network: &mut Network) -> Result<()> {
    let mark = network.events.mark();
    network.change(|document| document.link("ie", "us", DIRECT))?;
    let is_up = |event: &Event| is_link(event, "ie", "us", "up");
    network
        .events
        .wait(mark, "ie-us up", wait::PATIENCE, is_up)?;
    let labels = [("link", "ie-us"), ("direction", "out"), ("kind", "topic")];
    network.metric_reaches("ie", "causeway_link_messages_total", &labels, 20.0)?;
    Ok(())
}

fn a_new_site_gets_the_traffic(network: &mut Network) -> Result<()> {
    let mark = network.events.mark();
    network.change(|document| {
        document.sites.push("de".to_owned());
        document.link("us", "de", 10);
    })?;
    network.wait_ready(mark)?;
    let mut far = network.connect("de", MCOLLECTIVE)?;
    far.subscribe("far", TOPIC, &[])?;
    far.message()?;
    Ok(())
}

fn is_link(event: &Event, from: &str, to: &str, state: &str) -> bool {
    event.kind() == "link"
        && event.text("link") == link_name(from, to)
        && event.text("state") == state
}

#[test]
fn certificates_are_replaced_for_new_connections_and_old_ones_stay() -> Result<()> {
    let sites = ["ie", "uk"];
    let first = SiteCertificates::make(NETWORK, &sites)?;
    let second = SiteCertificates::make(NETWORK, &sites)?;
    let mut document = Document::new(Shape::Chain, &sites);
    document.tls = Some(first.clone());
    let mut network = Network::up(document)?;
    let traffic = traffic(&network, "ie", "uk")?;
    let port = network.port_of("ie", "stompTls")?;
    let password = network.document.password(ADMIN).to_owned();
    let mut old = Client::connect_tls(port, first.client_config()?, ADMIN, &password)?;

    network.change(|document| document.tls = Some(second.clone()))?;
    Client::connect_tls(port, second.client_config()?, ADMIN, &password)
        .context("a client that trusts the new authority")?
        .disconnect()?;
    ensure!(
        Client::connect_tls(port, first.client_config()?, ADMIN, &password).is_err(),
        "a new connection still gets the old certificate"
    );
    old.send_with_receipt(TOPIC_OF_GUEST, &[], "still here")?;
    traffic.finish()?.complete()?;
    network.stop()
}

#[test]
fn clients_of_a_listener_that_is_closed_are_ended_and_others_stay() -> Result<()> {
    let sites = ["ie", "uk"];
    let certificates = SiteCertificates::make(NETWORK, &sites)?;
    let mut document = Document::new(Shape::Chain, &sites);
    document.tls = Some(certificates.clone());
    let network = Network::up(document)?;
    let traffic = traffic(&network, "ie", "ie")?;
    let mut plain = network.connect("uk", ADMIN)?;
    plain.send_with_receipt(TOPIC_OF_GUEST, &[], "still open")?;
    let port = network.port_of("uk", "stompTls")?;
    let password = network.document.password(ADMIN);
    let mut tls = Client::connect_tls(port, certificates.client_config()?, ADMIN, password)?;

    let mark = network.events.mark();
    let closed = "{name: uk, listeners: {stomp: {state: Closed}}}";
    network.write_file(&network.document.to_yaml().replace("{name: uk}", closed))?;
    let is_applied = |event: &Event| event.kind() == "applied";
    network
        .events
        .wait(mark, "applied", wait::START, is_applied)?;
    plain.expect_close(CLOSED)?;
    tls.send_with_receipt(TOPIC_OF_GUEST, &[], "still open")?;
    traffic.finish()?.complete()?;
    network.stop()
}

#[test]
fn a_broken_file_is_reported_with_its_line_and_changes_nothing() -> Result<()> {
    let mut network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    let traffic = traffic(&network, "ie", "uk")?;
    let good = network.document.to_yaml();
    for (text, named) in [
        (good.replace("  sites:", "  sitse:"), "sitse"),
        (good.replace("[ie, uk]", "[ie, atlantis]"), "order"),
        (format!("{good}---\n: - [broken\n"), ""),
    ] {
        let mark = network.events.mark();
        network.write_file(&text)?;
        let is_named =
            |event: &Event| event.kind() == "error" && event.value.to_string().contains(named);
        let error = network
            .events
            .wait(mark, "error", wait::PATIENCE, is_named)?;
        println!("{}", error.value);
        let line = error.value.get("line").and_then(serde_json::Value::as_u64);
        ensure!(
            error
                .text("message")
                .ends_with("the old configuration stays in force"),
            "nothing is said of what runs: {}",
            error.value
        );
        ensure!(
            line.is_some_and(|line| line > 0),
            "no line: {}",
            error.value
        );
        network.connect("uk", MCOLLECTIVE)?.disconnect()?;
    }
    // The next good file counts again.
    network.change(|document| document.user("guest", &["guests"], "guest-password"))?;
    network.connect("uk", "guest")?.disconnect()?;
    traffic.finish()?.complete()?;
    network.stop()
}

#[test]
fn a_change_that_a_taken_port_keeps_out_is_in_force_once_the_port_is_free() -> Result<()> {
    let mut network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    let port = network.port("uk")? + PER_SITE;
    let holder = TcpListener::bind(("127.0.0.1", port))?;
    let mark = network.events.mark();
    let is_refused = |event: &Event| event.kind() == "error";
    network.document.sites.push("de".to_owned());
    network.write_file(&network.document.to_yaml())?;
    let refused = network
        .events
        .wait(mark, "error", wait::START, is_refused)?
        .value
        .to_string();
    ensure!(
        refused.contains(&port.to_string()) && refused.contains("until the port is free"),
        "{refused}"
    );
    drop(holder);
    let is_applied = |event: &Event| matches!(event.kind(), "applied" | "error");
    let mark = network.events.mark();
    let event = network
        .events
        .wait(mark, "applied", wait::START, is_applied)?;
    ensure!(event.kind() == "applied", "{}", event.value);
    ensure!(network.port("de")? == port);
    network.connect("de", MCOLLECTIVE)?.disconnect()?;
    network.stop()
}

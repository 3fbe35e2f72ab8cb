//! Everything that may change under running clients does, in two regions one after the other, while numbered messages cross
//! the border: nothing restarts, nobody is cut off, and each message arrives once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::certificates::Authority;
use causeway_e2e::client::Client;
use causeway_e2e::kubernetes::Region;
use causeway_e2e::traffic::{Report, Traffic};
use causeway_e2e::wait;

use super::declared::{Declared, GUEST, NETWORK};
use super::observed::{
    Brokers, CHANGE, REGIONS, SITES, apply, connect, login, name, pods, until_login,
};
use super::surface::{self, Surface};
use super::{Place, UP};

const NAMESPACE: &str = "rotated";
/// 200 messages a second.
const INTERVAL: Duration = Duration::from_millis(5);
/// The regions do not change at the same time.
const APART: Duration = Duration::from_secs(3);
const SHORTER: &str = "the way round is the shorter one";
const FOURTH: &str = "a site and its link";
/// Steps in which messages take another way than before.
const OTHER_WAYS: [&str; 2] = [SHORTER, FOURTH];
const NEWS: &str = "/topic/news.today";
const FIRST: &str = "first-password";
const SECOND: &str = "second-password";

/// What goes on while a rotation does.
struct Rotation<'a> {
    place: &'a Place,
    brokers: Brokers<'a>,
    declared: Declared,
    authority: Authority,
    flow: Traffic,
    order: [Region; 2],
    surface: Surface,
    /// What was done, until which message.
    steps: Vec<(&'static str, u64)>,
}

#[test]
fn everything_changes_under_running_clients_and_each_message_arrives_once() -> Result<()> {
    let place = Place::claiming(NAMESPACE, "{ie,uk,de}", "")?;
    let authority = Authority::make("the first authority")?;
    let declared = Declared::new(&authority)?;
    apply(&place, &declared.documents(place.namespace)?, &REGIONS)?;
    name(&place, &SITES)?;
    println!("up after {:?}", place.wait_up(NETWORK)?);
    let near = Traffic::between(
        connect(&place, "ie")?,
        connect(&place, "uk")?,
        "/topic/mcollective.near",
        INTERVAL,
    )?;
    let far = Traffic::between(
        connect(&place, "ie")?,
        connect(&place, "us")?,
        "/topic/mcollective.far",
        INTERVAL,
    )?;
    let mut bystanders = SITES
        .iter()
        .map(|(site, _)| connect(&place, site))
        .collect::<Result<Vec<_>>>()?;
    let place = &place;
    let mut rotation = Rotation {
        brokers: Brokers::of(place)?,
        place,
        declared,
        authority,
        flow: far,
        order: REGIONS,
        surface: Surface::new(),
        steps: Vec::new(),
    };
    let (before, counts) = (pods(place)?, rotation.brokers.counts()?);
    rotation.users_and_rights()?;
    rotation.links_and_sites()?;
    rotation.passwords_of_links()?;
    rotation.certificates_for_passwords()?;
    rotation.certificates()?;
    rotation.authority()?;
    for client in &mut bystanders {
        client.send_with_receipt("/topic/mcollective.bystander", &[], "still here")?;
    }
    ensure!(pods(place)? == before, "{:?} were {before:?}", pods(place)?);
    let now = rotation.brokers.counts()?;
    rotation.surface.policies_fit(place)?;
    surface::role_fits(place)?;
    let Rotation { flow, steps, .. } = rotation;
    told("within a region", &[], &near.finish()?)?;
    told("over the border", &steps, &flow.finish()?)?;
    // The fourth site's link came and went.
    for (now, before) in now.iter().zip(counts) {
        ensure!(
            now[0] - before[0] <= 1.0,
            "links came up anew: {now:?} was {before:?}"
        );
    }
    Ok(())
}

/// Says what became of a stream, and during which step a message was lost.
fn told(what: &str, steps: &[(&str, u64)], report: &Report) -> Result<()> {
    let lost = report.lost();
    for number in lost.iter().take(1).chain(lost.last()) {
        let number = u64::try_from(*number)?;
        let step = steps.iter().find(|(_, until)| number < *until);
        println!(
            "{what}: {number} was lost during {:?}",
            step.map(|step| step.0)
        );
    }
    let (first, last) = (report.sent.first(), report.sent.last());
    let pause = first
        .zip(last)
        .map(|(first, last)| report.longest_pause(*first, *last));
    println!(
        "{what}: {} messages, longest pause {pause:?}",
        report.sent.len()
    );
    let is_on_other_ways = |number: u64| {
        let step = steps.iter().find(|(_, until)| number < *until);
        step.is_some_and(|(step, _)| OTHER_WAYS.contains(step))
    };
    // What takes another way may overtake what is under way.
    let overtaken = report.received.windows(2).find(|two| {
        let [(before, _), (after, _)] = two else {
            return false;
        };
        after < before && !is_on_other_ways(*after)
    });
    ensure!(overtaken.is_none(), "{what}: overtaken: {overtaken:?}");
    report.complete()
}

impl Rotation<'_> {
    fn edit(&mut self, edit: impl FnOnce(&mut Declared)) -> Result<()> {
        edit(&mut self.declared);
        let documents = self.declared.documents(self.place.namespace)?;
        apply(self.place, &documents, &REGIONS)
    }

    /// One region after the other, each when the brokers of the one before run what is declared.
    fn edit_apart(&mut self, edit: impl FnOnce(&mut Declared)) -> Result<()> {
        edit(&mut self.declared);
        let documents = self.declared.documents(self.place.namespace)?;
        // Neither region is always the first.
        self.order.reverse();
        for region in self.order {
            let before = self.brokers.run(region)?;
            apply(self.place, &documents, &[region])?;
            self.brokers.wait_taken(region, &before)?;
            std::thread::sleep(APART);
        }
        Ok(())
    }

    fn done(&mut self, what: &'static str, started: Instant) -> Result<()> {
        println!("{what}: {:?}", started.elapsed());
        self.steps.push((what, self.flow.sent()));
        self.surface.look(self.place)
    }

    fn users_and_rights(&mut self) -> Result<()> {
        let started = Instant::now();
        self.edit(|all| all.guest = Some(("guests", (FIRST, None))))?;
        until_login(self.place, FIRST, true)?;
        self.edit(|all| {
            all.entries =
                vec!["{topic: \"news.>\", read: [guests], write: [guests], admin: [guests]}"];
        })?;
        let mut guest = login(self.place, "us", GUEST, FIRST)?;
        may_send(&mut guest, true)?;
        self.edit(|all| all.entries = vec!["{topic: \"news.>\", read: [guests]}"])?;
        may_send(&mut guest, false)?;
        self.edit(|all| all.guest = Some(("guests", (SECOND, Some(FIRST)))))?;
        until_login(self.place, SECOND, true)?;
        login(self.place, "uk", GUEST, FIRST)?.disconnect()?;
        let mut newer = login(self.place, "uk", GUEST, SECOND)?;
        self.edit(|all| all.guest = Some(("guests", (SECOND, None))))?;
        until_login(self.place, FIRST, false)?;
        self.edit(|all| all.guest = Some(("editors", (SECOND, None))))?;
        newer
            .send_with_receipt("/topic/mcollective.editor", &[], "not mine")
            .err()
            .context("a right")?;
        self.edit(|all| (all.guest, all.entries) = (None, Vec::new()))?;
        for region in REGIONS {
            self.place
                .kubectl(region, &["delete", "brokeruser", GUEST])?;
        }
        newer.expect_close(wait::PATIENCE)?;
        self.done("users, groups and rights", started)
    }

    fn links_and_sites(&mut self) -> Result<()> {
        let started = Instant::now();
        self.edit_apart(|all| all.cost = 5)?;
        self.done(SHORTER, started)?;
        let started = Instant::now();
        self.edit(|all| (all.cost, all.fourth) = (50, Some(10)))?;
        name(self.place, &[("de", Region::Here)])?;
        self.place.wait_up(NETWORK)?;
        self.edit(|all| all.fourth = Some(20))?;
        self.place.wait_up(NETWORK)?;
        self.edit(|all| all.fourth = None)?;
        let gone = wait::until("the fourth site to go", UP, || {
            let made = self.place.made(Region::Here, "deployments")?;
            Ok((!made.iter().any(|name| name.ends_with("--de"))).then_some(()))
        });
        gone.with_context(|| self.place.explain())?;
        self.place.wait_up(NETWORK)?;
        self.done(FOURTH, started)
    }

    fn passwords_of_links(&mut self) -> Result<()> {
        let started = Instant::now();
        let counts = self.brokers.counts()?;
        self.edit_apart(|all| all.link = ("another-long-password", Some("Afuphohxoh")))?;
        self.brokers.wait_renewed(&counts)?;
        self.brokers
            .wait_links("current passwords", |end| end["credential"] == "current")?;
        self.edit_apart(|all| all.link.1 = None)?;
        self.done("passwords of links", started)
    }

    fn certificates_for_passwords(&mut self) -> Result<()> {
        let started = Instant::now();
        self.edit_apart(|all| all.mode = "PasswordAndMTLS")?;
        self.brokers
            .wait_links("certificates", |end| end["credential"] == "certificate")?;
        self.done("passwords and certificates", started)?;
        let started = Instant::now();
        self.edit_apart(|all| all.mode = "MTLS")?;
        self.done("certificates alone", started)
    }

    fn certificates(&mut self) -> Result<()> {
        let started = Instant::now();
        let counts = self.brokers.counts()?;
        let mut next = self.declared.clone();
        next.sign(&self.authority)?;
        self.edit_apart(|all| *all = next)?;
        self.brokers.wait_renewed(&counts)?;
        self.done("certificates of all sites", started)
    }

    fn authority(&mut self) -> Result<()> {
        let started = Instant::now();
        let old = self.brokers.roots()?;
        let authority = Authority::make("the second authority")?;
        let both = format!("{}{}", self.authority.pem(), authority.pem());
        self.edit_apart(|all| all.roots = both)?;
        self.done("both authorities", started)?;
        let started = Instant::now();
        let mut next = self.declared.clone();
        next.sign(&authority)?;
        self.edit_apart(|all| *all = next)?;
        self.brokers.wait_links("the other root", |end| {
            end["root"].is_string() && !old.contains(&end["root"].to_string())
        })?;
        self.done("certificates of the second authority", started)?;
        let started = Instant::now();
        self.edit_apart(|all| all.roots = authority.pem().to_owned())?;
        std::thread::sleep(2 * APART);
        self.done("the second authority alone", started)?;
        self.authority = authority;
        Ok(())
    }
}

/// Waits until somebody may send news, or may no more.
fn may_send(guest: &mut Client, succeeds: bool) -> Result<()> {
    wait::until("a right to be in force", CHANGE, || {
        let is_taken = guest.send_with_receipt(NEWS, &[], "news").is_ok();
        Ok((is_taken == succeeds).then_some(()))
    })
}

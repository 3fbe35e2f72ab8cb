//! The operator with real pods: what is declared runs, what changes is in force without a restart, and what dies comes
//! back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::traffic::Traffic;
use causeway_e2e::wait;

use super::countries;
use super::region::{Region, secret, user};

const TOPIC: &str = "/topic/mcollective.traffic";
/// Everything is up within seconds; five times that.
pub const UP: Duration = Duration::from_secs(90);
/// A user's change is in force within 2 s (median); five times that.
const CHANGE: Duration = Duration::from_secs(10);
/// Links and clients are back within 3 s of a pod's end; five times that.
const BACK: Duration = Duration::from_secs(15);

impl Region {
    /// How long it takes until a client of ie reaches one of uk again.
    fn until_back(&self, started: Instant) -> Result<Duration> {
        let mut far = self.connect("uk")?;
        far.subscribe("1", TOPIC, &[])?;
        wait::until("a message from the site that died", BACK, || {
            let Ok(mut near) = self.connect("ie") else {
                return Ok(None);
            };
            near.send_with_receipt(TOPIC, &[], "back")?;
            far.receive(Duration::from_millis(100))
        })?;
        Ok(started.elapsed())
    }

    /// How long it takes until a login succeeds, or is refused.
    fn until_login(
        &self,
        site: &str,
        user: &str,
        password: &str,
        succeeds: bool,
    ) -> Result<Duration> {
        let started = Instant::now();
        wait::until("a change of a user to be in force", CHANGE, || {
            let is_in = self.login(site, user, password).is_ok();
            Ok((is_in == succeeds).then_some(()))
        })?;
        Ok(started.elapsed())
    }
}

#[test]
fn changes_are_in_force_without_a_restart_and_without_a_loss() -> Result<()> {
    let region = Region::of_countries("operated")?;
    let operator = region.operate()?;
    region.wait_ready(&operator)?;
    let traffic = Traffic::between(
        region.connect("ie")?,
        region.connect("uk")?,
        TOPIC,
        Duration::from_millis(5),
    )?;
    let pods = region.pods()?;
    ensure!(pods.len() == 2, "{pods:?}");
    let mut times = Vec::new();
    for number in 0..5 {
        let name = format!("guest{number}");
        let both = [
            user(&name, "mcollectiveusers"),
            secret(&format!("user-{name}"), &[("password", "wanderlust")]),
        ];
        region.place.apply(&both.join("\n---\n"))?;
        times.push(region.until_login("uk", &name, "wanderlust", true)?);
        let newer = secret(
            &format!("user-{name}"),
            &[
                ("password", "changed-since"),
                ("previousPassword", "wanderlust"),
            ],
        );
        region.place.apply(&newer)?;
        times.push(region.until_login("ie", &name, "changed-since", true)?);
        region.login("ie", &name, "wanderlust")?.disconnect()?;
        region.place.kubectl(&["delete", "brokeruser", &name])?;
        times.push(region.until_login("ie", &name, "changed-since", false)?);
    }
    times.sort();
    println!(
        "a change of a user is in force after {:?} (median), {:?} at most",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    let documents = countries()?;
    // A link's password changes at both ends, and its costs; rights come and go.
    let rotated = secret(
        "link-ie-uk",
        &[
            ("username", "amq"),
            ("current", "another-long-password"),
            ("previous", "Afuphohxoh"),
        ],
    );
    region.place.apply(&rotated)?;
    region
        .place
        .apply(&documents.replace("cost: 50", "cost: 70"))?;
    region
        .place
        .apply(&documents.replace("  linkAuth:", "  deniedSites: [us]\n  linkAuth:"))?;
    operator.wait_settled()?;
    traffic.go_on(200)?;
    let report = traffic.finish()?;
    report.complete()?;
    ensure!(
        region.pods()? == pods,
        "restarted: {:?} were {pods:?}",
        region.pods()?
    );
    println!(
        "{} messages while {} changes were made, none lost, none twice",
        report.sent.len(),
        times.len() + 3
    );
    Ok(())
}

#[test]
fn what_dies_comes_back_and_an_image_changes_one_site_at_a_time() -> Result<()> {
    let region = Region::of_countries("mortal")?;
    let operator = region.operate()?;
    region.wait_ready(&operator)?;
    let pods = region.pods()?;
    // Who is connected sees the very moment of an end.
    let mut witness = region.connect("ie")?;
    let kill = [
        "delete",
        "pod",
        "--selector=causeway.dev/site=ie",
        "--grace-period=0",
        "--force",
        "--wait=false",
    ];
    region.place.kubectl(&kill)?;
    witness.expect_close(BACK)?;
    let back = region.until_back(Instant::now());
    println!(
        "clients and links of a killed pod are back after {:?}",
        back.with_context(|| operator.log())?
    );
    region.wait_ready(&operator)?;
    ensure!(region.pods()? != pods);

    let uid = region.uid("ie")?;
    let mut witness = region.connect("ie")?;
    region.place.cluster.run_out_of_memory(&uid)?;
    witness.expect_close(BACK)?;
    let back = region.until_back(Instant::now());
    println!(
        "clients and links of a broker that the kernel ended for its node's memory are back after {:?}",
        back.with_context(|| operator.log())?
    );
    region.wait_ready(&operator)?;
    ensure!(region.uid("ie")? == uid, "the pod is another");
    let restarts: Vec<i64> = region.pods()?.into_iter().map(|pod| pod.1).collect();
    ensure!(restarts.iter().sum::<i64>() == 1, "{restarts:?}");

    let before = region.pods()?;
    region.change_defaults(r#""podLabels":{"example.com/rolled":"yes"}"#)?;
    let mut most = 0;
    wait::until("both sites to have another pod", UP, || {
        let now = region.pods()?;
        let list = region.place.json(&["get", "deployments"])?;
        let down = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["status"]["availableReplicas"].as_i64().unwrap_or(0) == 0)
            .count();
        most = most.max(down);
        let is_new = now.len() == 2 && now.iter().all(|pod| !before.contains(pod));
        Ok((is_new && down == 0).then_some(()))
    })
    .with_context(|| operator.log())?;
    ensure!(most <= 1, "{most} sites were down at a time");
    Ok(())
}

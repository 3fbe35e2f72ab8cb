//! A site that was away comes back with the documents of then. Its pod and its broker are moved by hand: no node is needed
//! for a process that listens on an address of its own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_e2e::client::Client;
use causeway_e2e::document::MCOLLECTIVE;
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::process::{self, Folder};
use causeway_e2e::traffic::Traffic;
use causeway_e2e::{http, wait};
use serde_json::{Value, json};

use super::super::brokers::PASSWORD;
use super::super::operator::Place;
use super::{countries, wait_made};

/// A link is tried again within ten seconds; five times that on a busy machine.
const BACK: Duration = Duration::from_secs(60);

/// The README's documents without the site uk, at addresses of this machine.
fn documents() -> Result<String> {
    let lines = countries()?;
    let lines = lines.lines().filter(|line| {
        !line.contains("name: uk,") && !line.contains("[ie, uk]") && !line.contains("[uk, us]")
    });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let text = text
        .replace("amq.ie.example.com", &address("ie").to_string())
        .replace("amq.us.example.com", &address("us").to_string());
    ensure!(text.contains("[ie, us], cost: 50"), "another example");
    Ok(text)
}

const fn address(site: &str) -> Ipv4Addr {
    match site.as_bytes() {
        b"ie" => Ipv4Addr::new(127, 77, 0, 1),
        _ => Ipv4Addr::new(127, 77, 0, 2),
    }
}

/// A namespace that is a region of one site.
struct Region {
    place: Place,
    site: &'static str,
    folder: Folder,
}

/// A broker without a pod; dropped, it is killed.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        process::end(&mut self.0);
    }
}

impl Region {
    fn new(namespace: &'static str, site: &'static str) -> Result<Self> {
        let place = Place::new(namespace)?;
        place.apply(&documents()?)?;
        let folder = Folder::new()?;
        Ok(Self {
            place,
            site,
            folder,
        })
    }

    fn operate(&self) -> Result<Operator<'_>> {
        let operator = Operator::start(&self.place.cluster, self.site, self.place.namespace)?;
        wait_made(&self.place, &operator, self.site)?;
        Ok(operator)
    }

    /// Writes the files of the site's Secret to where its broker looks, for an address of its own.
    fn mount(&self) -> Result<PathBuf> {
        let name = format!("mcollective--{}-config", self.site);
        let secret = self.place.json(&["get", "secret", &name])?;
        let files = self.folder.path().join("config");
        let state = self.folder.path().join("state");
        std::fs::create_dir_all(&files)?;
        std::fs::create_dir_all(&state)?;
        for (key, value) in secret["data"].as_object().context("no files")? {
            if key == "cache.json" {
                continue;
            }
            let bytes = STANDARD.decode(value.as_str().unwrap_or_default())?;
            let text = String::from_utf8(bytes)?
                .replace("'::'", &address(self.site).to_string())
                .replace("/var/lib/causeway", &state.display().to_string());
            write(&files, key, &text)?;
        }
        Ok(files)
    }

    /// Starts the broker with the files that are there.
    fn start(&self, files: &Path) -> Result<Broker> {
        let log = self.folder.path().join("broker.log");
        let output = File::create(&log)?;
        let program = process::causeway()?.with_file_name("causeway-broker");
        let child = Command::new(program)
            .arg("--config")
            .arg(files)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting causeway-broker")?;
        let broker = Broker(child);
        let page = SocketAddr::from((address(self.site), 8161));
        wait::until("the broker to be ready", wait::PATIENCE, || {
            let answer = http::fetch_from(page, "/readyz", None);
            Ok(answer.is_ok_and(|(status, _)| status == 200).then_some(()))
        })
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(broker)
    }

    /// Says of the pod that nobody runs what a kubelet would say.
    fn run_pod(&self) -> Result<()> {
        let selector = format!("--selector=causeway.dev/site={}", self.site);
        let pod = wait::until("a pod", wait::START, || {
            let list = self.place.json(&["get", "pods", &selector])?;
            let name = list["items"][0]["metadata"]["name"].as_str();
            Ok(name.map(str::to_owned))
        })?;
        let address = address(self.site).to_string();
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let patch = format!("--patch={status}");
        let arguments = [
            "patch",
            "pod",
            &pod,
            "--subresource=status",
            "--type=merge",
            &patch,
        ];
        self.place.kubectl(&arguments).map(drop)
    }

    fn network(&self) -> Result<Value> {
        self.place.json(&["get", "brokernetwork", "mcollective"])
    }

    /// Waits until the status says so of the other site.
    fn wait_peer(&self, what: &str, operator: &Operator<'_>, in_sync: &str) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait::until(what, BACK, || {
            last = self.network()?["status"].take();
            let links = condition(&last, "LinksUp")["status"] == "True";
            let rows = last["sites"].as_array().into_iter().flatten();
            let row = rows.into_iter().find(|row| row["local"] != true).cloned();
            let row = row.filter(|row| links && row["inSync"] == in_sync);
            Ok(row)
        });
        found.with_context(|| format!("{}: {last:#}\n{}", self.site, operator.log()))
    }

    fn connect(&self) -> Result<Client> {
        Client::connect_to((address(self.site), 61613).into(), MCOLLECTIVE, PASSWORD)
    }
}

/// In one step, as a mounted Secret changes.
fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let new = folder.join(format!(".{name}.new"));
    std::fs::write(&new, text)?;
    Ok(std::fs::rename(new, folder.join(name))?)
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let conditions = status["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == kind));
    found.unwrap_or(&Value::Null)
}

/// O13: a site that was away while the other got other documents comes back with the old ones: its link is up, messages
/// pass both ways, and both sides show which site has other documents, until both have the same again.
#[test]
fn a_site_that_comes_back_with_its_old_documents_joins_and_both_sides_show_it() -> Result<()> {
    let (here, there) = (
        Region::new("rule-drift-ie", "ie")?,
        Region::new("rule-drift-us", "us")?,
    );
    let (of_here, of_there) = (here.operate()?, there.operate()?);
    let (files, old) = (here.mount()?, there.mount()?);
    let _broker = here.start(&files)?;
    let away = there.start(&old)?;
    here.run_pod()?;
    there.run_pod()?;
    let before = here.wait_peer("the same documents", &of_here, "True")?;
    there.wait_peer("the same documents", &of_there, "True")?;
    drop(away);
    of_there.stop()?;

    here.place
        .apply(&documents()?.replace("cost: 50", "cost: 60"))?;
    of_here.wait_settled()?;
    here.mount()?;
    let _broker = there.start(&old)?;
    let of_there = there.operate()?;
    let ours = there.wait_peer("other documents", &of_there, "False")?;
    let theirs = here.wait_peer("other documents", &of_here, "False")?;
    ensure!(theirs["specHash"] == before["specHash"], "{theirs:#}");
    ensure!(ours["specHash"] != theirs["specHash"], "{ours:#}");
    for region in [&here, &there] {
        let status = region.network()?["status"].take();
        println!(
            "{}: {}",
            region.site,
            condition(&status, "PeersInSync")["message"]
        );
        ensure!(condition(&status, "Stalled").is_null(), "{status:#}");
    }
    passes(&here, &there)?;
    passes(&there, &here)?;

    there
        .place
        .apply(&documents()?.replace("cost: 50", "cost: 60"))?;
    of_there.wait_settled()?;
    there.mount()?;
    here.wait_peer("the same documents again", &of_here, "True")?;
    there.wait_peer("the same documents again", &of_there, "True")?;
    Ok(())
}

fn passes(from: &Region, to: &Region) -> Result<()> {
    let topic = format!("/topic/mcollective.from.{}", from.site);
    let traffic = Traffic::between(
        from.connect()?,
        to.connect()?,
        &topic,
        Duration::from_millis(10),
    )?;
    traffic.go_on(20)?;
    traffic.finish()?.complete()
}

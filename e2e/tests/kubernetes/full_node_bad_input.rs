//! Every wrong object is named, by `kubectl apply` or by a condition with its reason and the path of the field. Brokers go on
//! with the last good configuration and notice nothing: no pod restarts, no connection drops.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::certificates::Authority;
use causeway_e2e::client::Client;
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::traffic::Traffic;
use causeway_e2e::wait;

use super::development_authority;
use super::region::{Pod, Region, link, secret, user};

/// A mistake is told within 2 s; five times that on a busy machine. What only the brokers see takes a question to them.
const TOLD: Duration = Duration::from_secs(30);
/// Who is refused tries again after half a minute at the latest.
const RIVAL: Duration = Duration::from_secs(150);

/// The documents of two sites whose links take passwords and certificates, and all that they name.
fn documents(signer: &Authority) -> Result<String> {
    let tls = "  tls: {source: Secret, trustBundleRef: {kind: Secret, name: roots}}";
    let network = development_authority::documents()?
        .replace("  tls: {source: Development}", tls)
        .replace("{mode: MTLS}", "{mode: PasswordAndMTLS}")
        .replace(".example.com", ".mistakes.example.com");
    ensure!(network.contains(tls), "the example has another tls");
    let (ie, uk) = (
        certificate(signer, "ie", "ie")?,
        certificate(signer, "uk", "uk")?,
    );
    let roots = secret("roots", &[("ca.crt", signer.pem())]);
    Ok([network, ie, uk, roots].join("\n---\n"))
}

/// The Secret of a site with a certificate of a site.
fn certificate(signer: &Authority, secret_of: &str, site: &str) -> Result<String> {
    let (chain, key) = signer.site("mcollective", site)?;
    let name = format!("mcollective--{secret_of}-tls");
    Ok(secret(&name, &[("tls.crt", &chain), ("tls.key", &key)]))
}

/// What runs, and what must not change.
struct World<'a> {
    region: &'a Region,
    operator: &'a Operator<'a>,
    documents: String,
    pods: Vec<Pod>,
    witness: Client,
}

impl World<'_> {
    /// Does something wrong, waits until a condition says so, and checks that nobody else noticed.
    fn told(
        &mut self,
        what: &str,
        wrong: impl FnOnce(&Region) -> Result<()>,
        (kind, reason): (&str, &str),
        parts: &[&str],
    ) -> Result<()> {
        let started = Instant::now();
        wrong(self.region).with_context(|| what.to_owned())?;
        let told = wait::until(&format!("{kind} {reason} after {what}"), TOLD, || {
            let condition = self.region.condition(kind)?;
            let message = condition["message"].as_str().unwrap_or_default();
            let is_it = condition["reason"] == reason
                && condition["status"] != "Unknown"
                && parts.iter().all(|part| message.contains(part));
            Ok(is_it.then(|| message.to_owned()))
        });
        let message = told.with_context(|| self.region.explain(self.operator))?;
        println!(
            "{what}: {kind} {reason} after {:?}: {message}",
            started.elapsed()
        );
        self.unharmed(what)
    }

    /// Applies something that the API server refuses with these words.
    fn refused(&mut self, what: &str, document: &str, parts: &[&str]) -> Result<()> {
        let place = &self.region.place;
        let here = format!("--namespace={}", place.namespace);
        let finished = place
            .cluster
            .try_apply(document, &[&here, "--force-conflicts"])?;
        let output = finished.output();
        ensure!(finished.code != Some(0), "{what} was taken: {output}");
        let absent = parts.iter().find(|part| !output.contains(**part));
        ensure!(absent.is_none(), "{what}: {absent:?} not in {output}");
        println!("{what}: refused: {}", output.trim());
        self.unharmed(what)
    }

    fn unharmed(&mut self, what: &str) -> Result<()> {
        let sent = self
            .witness
            .send_with_receipt("/topic/mcollective.witness", &[], what);
        sent.with_context(|| format!("the witness after {what}"))?;
        let pods = self.region.pods()?;
        ensure!(pods == self.pods, "{what}: {pods:?} were {:?}", self.pods);
        Ok(())
    }

    /// Everything is as it should be again.
    fn mend(&mut self) -> Result<()> {
        self.region.place.apply(&self.documents)?;
        let mended = wait::until("everything to be well again", TOLD, || {
            let is = |kind: &str, status: &str| -> Result<bool> {
                Ok(self.region.condition(kind)?["status"] == status)
            };
            let is_quiet = self.region.condition("Stalled")?.is_null()
                && self.region.condition("Reconciling")?.is_null();
            let is_well = is("Ready", "True")? && is("TLSValid", "True")? && is_quiet;
            Ok(is_well.then_some(()))
        });
        mended.with_context(|| self.region.explain(self.operator))?;
        self.unharmed("mending")
    }

    /// The documents with a text replaced.
    fn edited(&self, from: &str, to: &str) -> Result<String> {
        ensure!(self.documents.contains(from), "the documents lack {from}");
        Ok(self.documents.replacen(from, to, 1))
    }
}

/// O9, O11: what no schema refuses is named with its reason, and brokers go on with the last good configuration and the last
/// good certificates.
#[test]
fn each_mistake_is_named_and_brokers_go_on_with_what_was_good() -> Result<()> {
    let region = Region::new("mistakes", "ie,uk,fr")?;
    let signer = Authority::make("the root of the mistakes")?;
    let documents = documents(&signer)?;
    region.place.apply(&documents)?;
    let operator = region.operate()?;
    region.wait_ready(&operator)?;
    let mut world = World {
        region: &region,
        operator: &operator,
        documents,
        pods: region.pods()?,
        witness: region.connect("uk")?,
    };
    let traffic = Traffic::between(
        region.connect("ie")?,
        region.connect("uk")?,
        "/topic/mcollective.traffic",
        Duration::from_millis(5),
    )?;
    at_apply(&mut world)?;
    in_secrets(&mut world)?;
    in_certificates(&mut world, &signer)?;
    of_others(&mut world)?;
    claimed_twice(&mut world)?;
    let report = traffic.finish()?;
    report.complete()?;
    println!("{} messages meanwhile, each once", report.sent.len());
    Ok(())
}

fn at_apply(world: &mut World<'_>) -> Result<()> {
    let unknown = world.edited("between: [ie, uk]", "between: [ie, atlantis]")?;
    let words = "links[].between must name entries of sites";
    world.refused("a link to an unknown site", &unknown, &[words])?;
    let twice = world.edited("    - {name: uk,", "    - {name: uk}\n    - {name: uk,")?;
    world.refused("a site that is there twice", &twice, &["uk"])?;
    let controller = |name: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","name":"{name}","uid":"{name}","controller":true}}"#
        )
    };
    let both = format!(
        r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"user-two","ownerReferences":[{},{}]}}}}"#,
        controller("one"),
        controller("other")
    );
    let words = "Only one reference can have Controller set to true";
    world.refused("a password Secret of two controllers", &both, &[words])
}

fn in_secrets(world: &mut World<'_>) -> Result<()> {
    let dangling = world.edited("{name: link-ie-uk}}}", "{name: nowhere}}}")?;
    world.told(
        "a link's Secret that is not there",
        |region| region.place.apply(&dangling),
        ("Reconciling", "WaitingForSecret"),
        &["spec.links[0].credentials.secretRef.name", "nowhere"],
    )?;
    world.mend()?;
    world.told(
        "a link's Secret without its key",
        |region| remove_key(region, "link-ie-uk", "current"),
        ("Stalled", "SecretMalformed"),
        &["spec.links[0].credentials.secretRef.name", "no key current"],
    )?;
    world.mend()?;
    world.told(
        "a user's Secret that is not there",
        |region| region.place.apply(&user("stray", "mcollectiveusers")),
        ("Degraded", "UserErrors"),
        &["stray"],
    )?;
    world.told(
        "a user's Secret without its key",
        |region| {
            let other = secret("user-stray", &[("pasword", "misspelt")]);
            region.place.apply(&other)
        },
        ("Degraded", "UserErrors"),
        &["stray"],
    )?;
    world
        .region
        .place
        .kubectl(&["delete", "brokeruser", "stray"])?;
    world.mend()
}

fn remove_key(region: &Region, secret: &str, key: &str) -> Result<()> {
    let patch = format!(r#"[{{"op":"remove","path":"/data/{key}"}}]"#);
    let patch = format!("--patch={patch}");
    let arguments = ["patch", "secret", secret, "--type=json", &patch];
    region.place.kubectl(&arguments).map(drop)
}

fn in_certificates(world: &mut World<'_>, signer: &Authority) -> Result<()> {
    let strange = certificate(signer, "ie", "uk")?;
    world.told(
        "the certificate of another site",
        |region| region.place.apply(&strange),
        ("TLSValid", "NameMismatch"),
        &["ie tls/tls.crt", "site/uk"],
    )?;
    world.mend()?;
    world.told(
        "a certificate's Secret without its key",
        |region| remove_key(region, "mcollective--ie-tls", "tls.key"),
        ("Reconciling", "WaitingForSecret"),
        &["spec.tls.source", "mcollective--ie-tls", "tls.key"],
    )?;
    world.mend()?;
    taken_out_meanwhile(world)?;
    let elsewhere = world.edited("name: roots}}", "name: nowhere}}")?;
    world.told(
        "roots that are not there",
        |region| region.place.apply(&elsewhere),
        ("Reconciling", "WaitingForCertificate"),
        &["spec.tls.trustBundleRef", "nowhere"],
    )?;
    world.mend()?;
    let development = world.edited(
        "{source: Secret, trustBundleRef: {kind: Secret, name: roots}}",
        "{source: Development}",
    )?;
    world.told(
        "certificates of somebody else where the operator would make its own",
        |region| region.place.apply(&development),
        ("Stalled", "SecretNotOwned"),
        &["mcollective--ie-tls", "mcollective--uk-tls"],
    )?;
    world.mend()
}

/// Who is taken out is out, though the pod's certificate is gone at that moment.
fn taken_out_meanwhile(world: &mut World<'_>) -> Result<()> {
    let region = world.region;
    let in_force = |succeeds: bool| {
        wait::until("a change of a user to be in force", TOLD, || {
            let is_in = region.login("ie", "leaver", "wanderlust").is_ok();
            Ok((is_in == succeeds).then_some(()))
        })
        .with_context(|| region.explain(world.operator))
    };
    let both = [
        user("leaver", "mcollectiveusers"),
        secret("user-leaver", &[("password", "wanderlust")]),
    ];
    region.place.apply(&both.join("\n---\n"))?;
    in_force(true)?;
    region
        .place
        .kubectl(&["delete", "secret", "mcollective--ie-tls"])?;
    region.place.kubectl(&["delete", "brokeruser", "leaver"])?;
    let started = Instant::now();
    in_force(false)?;
    println!(
        "a user is out {:?} after it was deleted, without a certificate of its site",
        started.elapsed()
    );
    world.unharmed("the end of a user")?;
    world.mend()
}

/// An object of the name that a new site needs is there and belongs to another network.
fn of_others(world: &mut World<'_>) -> Result<()> {
    let place = &world.region.place;
    let other = r#"{"apiVersion":"causeway.dev/v1alpha1","kind":"BrokerNetwork","metadata":{"name":"other"},"spec":{"sites":[{"name":"at"}]}}"#;
    place.apply(other)?;
    let object = place.json(&["get", "brokernetwork", "other"])?;
    let uid = object["metadata"]["uid"].as_str().context("no uid")?;
    let service = format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"mcollective--fr-stomp","ownerReferences":[{{"apiVersion":"causeway.dev/v1alpha1","kind":"BrokerNetwork","name":"other","uid":"{uid}","controller":true}}]}},"spec":{{"ports":[{{"port":1}}],"selector":{{"app":"other"}}}}}}"#
    );
    place.apply(&service)?;
    let before = place.json(&["get", "service", "mcollective--fr-stomp"])?;
    let stopped = world.edited(
        "    - {name: ie,",
        "    - {name: fr, mode: Stopped}\n    - {name: ie,",
    )?;
    world.told(
        "two networks with one name for an object",
        |region| region.place.apply(&stopped),
        ("Stalled", "ChildNotOwned"),
        &["Service mcollective--fr-stomp", "BrokerNetwork/other"],
    )?;
    let place = &world.region.place;
    let after = place.json(&["get", "service", "mcollective--fr-stomp"])?;
    ensure!(after == before, "{after:#}");
    place.kubectl(&["delete", "brokernetwork", "other"])?;
    world.mend()
}

/// Another cluster claims uk too: its claim is refused, and both say so.
fn claimed_twice(world: &mut World<'_>) -> Result<()> {
    let rival = Region::new("mistakes-elsewhere", "uk")?;
    let place = &world.region.place;
    let address = place
        .cluster
        .balanced_address(place.namespace, "mcollective--ie-link")?;
    place
        .cluster
        .resolve("amq.ie.mistakes.example.com", address)?;
    rival.place.apply(&world.documents)?;
    let operator = rival.operate()?;
    let started = Instant::now();
    let refused = wait::until("the second claim to be refused", RIVAL, || {
        Ok(rival.page("uk").ok().filter(|page| {
            let link = link(page, "ie-uk");
            link["state"] == "refused" && link["reason"] == "duplicate_site"
        }))
    });
    refused.with_context(|| rival.explain(&operator))?;
    println!("a second claim is refused after {:?}", started.elapsed());
    for (region, operator, words) in [
        (
            world.region,
            world.operator,
            "somebody else claims uk and was refused",
        ),
        (&rival, &operator, "uk runs elsewhere already"),
    ] {
        let told = wait::until(words, RIVAL, || {
            let degraded = region.condition("Degraded")?;
            let message = degraded["message"].as_str().unwrap_or_default();
            let is_told = degraded["reason"] == "DuplicateSite" && message.contains(words);
            Ok(is_told.then_some(()))
        });
        told.with_context(|| region.explain(operator))?;
        println!("{words}: after {:?}", started.elapsed());
    }
    let refused = rival.condition("LinksUp")?;
    ensure!(refused["reason"] == "LinkRefused", "{refused:#}");
    world.unharmed("a second claim")
}

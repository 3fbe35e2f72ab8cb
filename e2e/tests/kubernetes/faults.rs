//! The proxy in front of an API server records what comes and lets go wrong what it is told to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::proxy::{Moment, Proxy};
use causeway_e2e::kubernetes::{Cluster, Level};
use causeway_e2e::process::Finished;
use causeway_e2e::wait;

/// A proxy, and a namespace for one test behind it.
struct Client {
    cluster: Arc<Cluster>,
    proxy: Proxy,
    namespace: &'static str,
}

impl Client {
    fn start(namespace: &'static str) -> Result<Self> {
        let cluster = Cluster::shared(Level::ControlPlane)?;
        cluster.kubectl(&["create", "namespace", namespace])?;
        let proxy = Proxy::start(&cluster, None)?;
        Ok(Self {
            cluster,
            proxy,
            namespace,
        })
    }

    /// Makes an object through the proxy.
    fn create(&self, name: &str) -> Result<Finished> {
        let namespace = format!("--namespace={}", self.namespace);
        self.run(&["create", "configmap", name, &namespace])
    }

    /// Reads below the objects through the proxy.
    fn read(&self, query: &str) -> Result<Finished> {
        self.run(&["get", "--raw", &format!("{}{query}", self.path())])
    }

    /// Whether an object is there, which the API server is asked itself.
    fn is_there(&self, name: &str) -> Result<bool> {
        let path = format!("{}/{name}", self.path());
        let finished = self.cluster.try_kubectl(&["get", "--raw", &path])?;
        Ok(finished.code == Some(0))
    }

    fn run(&self, arguments: &[&str]) -> Result<Finished> {
        let kubeconfig = format!("--kubeconfig={}", self.proxy.kubeconfig().display());
        let mut all = arguments.to_vec();
        all.push(&kubeconfig);
        self.cluster.try_kubectl(&all)
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps", self.namespace)
    }
}

#[test]
fn the_proxy_records_each_request_and_tells_writes_from_reads() -> Result<()> {
    let client = Client::start("recorded")?;
    client.create("one")?.success("create")?;
    let writes = client.proxy.writes_since(0);
    let seen: Vec<_> = writes.iter().map(|one| (&*one.verb, one.status)).collect();
    ensure!(seen == [("POST", Some(201))], "{writes:?}");
    let before = client.proxy.recorded();
    client.read("/one")?.success("read")?;
    let after = client.proxy.requests_since(before);
    ensure!(
        after.len() == 1 && after[0].status == Some(200),
        "{after:?}"
    );
    ensure!(client.proxy.writes_since(before).is_empty(), "{after:?}");
    Ok(())
}

#[test]
fn the_proxy_cuts_a_write_before_or_after_it_is_carried_out() -> Result<()> {
    let client = Client::start("cut")?;
    for (name, moment) in [
        ("before", Moment::BeforeItIsDone),
        ("after", Moment::AfterItIsDone),
    ] {
        client.proxy.cut("POST ", 2, moment);
        client.create(&format!("{name}-first"))?.success("create")?;
        let cut = client.create(name)?;
        ensure!(cut.code != Some(0), "{cut:?}");
        let is_done = moment == Moment::AfterItIsDone;
        ensure!(client.is_there(name)? == is_done, "{moment:?}");
    }
    let unanswered = client.proxy.writes_since(0);
    let unanswered = unanswered.iter().filter(|one| one.status.is_none());
    ensure!(unanswered.count() == 2, "not two");
    Ok(())
}

#[test]
fn the_proxy_refuses_as_often_as_it_was_told() -> Result<()> {
    let client = Client::start("refused")?;
    client.proxy.refuse(&client.path(), 503, 1);
    let refused = client.read("")?;
    ensure!(
        refused.code != Some(0) && refused.stderr.contains("a test refuses this"),
        "{refused:?}"
    );
    client.read("")?.success("the second time")?;
    // Who is told to come again does so.
    client.proxy.refuse(&client.path(), 429, 1);
    let before = client.proxy.recorded();
    client.read("")?.success("too many requests")?;
    let statuses: Vec<_> = client.proxy.requests_since(before);
    let statuses: Vec<_> = statuses.iter().filter_map(|one| one.status).collect();
    ensure!(statuses == [429, 200], "{statuses:?}");
    Ok(())
}

#[test]
fn the_proxy_serves_a_list_that_is_behind_and_loses_events_of_a_watch() -> Result<()> {
    let client = Client::start("behind")?;
    client.proxy.freeze(&format!("GET {}", client.path()));
    client.read("")?.success("list")?;
    client.create("late")?.success("create")?;
    ensure!(!client.read("")?.stdout.contains("\"late\""), "fresh");
    client.proxy.heal();
    ensure!(client.read("")?.stdout.contains("\"late\""), "behind");
    client.create("kept")?.success("create")?;
    client.proxy.lose_events("WATCH ", "behind/late");
    let events = client.read("?watch=true&timeoutSeconds=1")?.stdout;
    ensure!(
        events.contains("\"kept\"") && !events.contains("\"late\""),
        "{events}"
    );
    Ok(())
}

#[test]
fn the_proxy_ends_watches_goes_away_and_comes_back() -> Result<()> {
    let client = Client::start("away")?;
    let watch = std::thread::scope(|scope| {
        let started = Instant::now();
        let watch = scope.spawn(|| client.read("?watch=true&timeoutSeconds=60"));
        wait::until("the watch", wait::PATIENCE, || {
            let requests = client.proxy.requests_since(0);
            let mut requests = requests.iter();
            Ok(requests
                .any(|one| one.verb == "WATCH" && one.status == Some(200))
                .then_some(()))
        })?;
        client.proxy.close_watches();
        let watch = watch.join().ok().context("the watch panicked")?;
        ensure!(started.elapsed() < Duration::from_secs(30), "it went on");
        watch
    })?;
    println!("the watch ended with {:?}", watch.code);
    client.proxy.go_away();
    let gone = client.read("")?;
    ensure!(gone.code != Some(0), "{gone:?}");
    client.proxy.come_back();
    client.read("")?.success("back again")?;
    Ok(())
}

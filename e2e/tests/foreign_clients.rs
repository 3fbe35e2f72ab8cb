//! Clients nobody here wrote: the Ruby stomp gem and Python's stomp.py, each version they speak.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use causeway_e2e::certificates::SiteCertificates;
use causeway_e2e::document::{Document, MCOLLECTIVE, NETWORK, Shape};
use causeway_e2e::network::Network;
use causeway_e2e::process;

/// A script waits 20 s for each of its steps at most.
const SCRIPT: Duration = Duration::from_secs(180);

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}

/// Runs a script against a site of a chain of two, so that its destinations are known to a link as
/// well.
fn exercise(program: &Path, name: &str) -> Result<()> {
    let sites = ["ie", "uk"];
    let mut document = Document::new(Shape::Chain, &sites);
    let certificates = SiteCertificates::make(NETWORK, &sites)?;
    document.tls = Some(certificates.clone());
    let network = Network::up(document)?;
    let roots = network.folder().join("roots.pem");
    certificates.write_authority(&roots)?;
    let mut command = Command::new(program);
    command
        .arg(script(name))
        .arg(network.port("ie")?.to_string())
        .arg(network.port_of("ie", "stompTls")?.to_string())
        .args([MCOLLECTIVE, network.document.password(MCOLLECTIVE)])
        .arg(&roots);
    let finished = process::run(&mut command, SCRIPT)?.success(name)?;
    print!("{}", finished.stdout);
    ensure!(
        finished.stdout.contains("all done"),
        "the script stopped early: {}",
        finished.output()
    );
    network.stop()
}

#[test]
fn the_ruby_gem_can_do_all_it_knows() -> Result<()> {
    let install = "apt-get install ruby ruby-stomp";
    let ruby = process::need("ruby", install)?;
    let mut look = Command::new(&ruby);
    look.args(["-e", "require 'stomp'"]);
    process::run(&mut look, SCRIPT)?.success(&format!("the stomp gem ({install})"))?;
    exercise(&ruby, "stomp_gem.rb")
}

#[test]
fn stomp_py_can_do_all_it_knows() -> Result<()> {
    let install = "python3 -m venv VENV; VENV/bin/pip install 'stomp.py==9.*'; \
                   export CAUSEWAY_E2E_PYTHON=VENV/bin/python";
    let python = match std::env::var_os("CAUSEWAY_E2E_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => process::need("python3", install)?,
    };
    let mut look = Command::new(&python);
    look.args(["-c", "import stomp"]);
    process::run(&mut look, SCRIPT)?.success(&format!("stomp.py ({install})"))?;
    exercise(&python, "stomp_py.py")
}

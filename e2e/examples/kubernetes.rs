//! A real Kubernetes to try things on: `cargo run -p causeway-e2e --example kubernetes [control-plane]`.
//! It prints how to reach it and ends, without a trace, when standard input does.

use std::io::Read as _;

use anyhow::Result;
use causeway_e2e::kubernetes::{Cluster, Level};

fn main() -> Result<()> {
    let level = match std::env::args().nth(1).as_deref() {
        Some("control-plane") => Level::ControlPlane,
        _ => Level::FullNode,
    };
    let cluster = Cluster::start(level, 0)?;
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    if level == Level::FullNode {
        cluster.import_images()?;
        cluster.provide_load_balancers(10..=99)?;
    }
    println!("it runs until standard input ends");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

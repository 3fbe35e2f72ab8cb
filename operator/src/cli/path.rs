//! `causeway path A B -f FILE`.

use std::path::PathBuf;

use serde_json::json;

use super::failure::UsageError;
use super::table::{lines, row};
use super::{Exit, Output, input, out};
use crate::client::target;
use crate::model::ValidNetwork;
use crate::topology::graph::{Route, SiteGraph};
use crate::topology::what_if::{self, Loss};

/// Arguments of `causeway path`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway path ie us -f deploy/examples/countries.yaml
  causeway path ie us -f deploy/examples/countries.yaml --lose link:uk-us

Ways are found by the brokers' own function: the lowest sum of costs. Ends with 1 if there is none.")]
pub struct Args {
    /// From this site.
    #[arg(value_name = "A")]
    pub from: String,
    /// To this site.
    #[arg(value_name = "B")]
    pub to: String,
    /// Documents, as `kubectl apply` would take them; `-` is standard input. May be given more than once.
    #[arg(long = "file", short = 'f', required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The way of messages to queue/NAME or topic/NAME, with their traffic class.
    #[arg(long, value_name = "DEST", value_parser = target::destination)]
    pub destination: Option<String>,
    /// As if site:NAME or link:NAME were lost; may be given more than once.
    #[arg(long, value_name = "site:X|link:Y")]
    pub lose: Vec<Loss>,
    /// The network, where the files declare several.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// How the way is printed.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Every destination is of this class: what would make others is not declared.
const CLASS: &str = "default";

/// Prints the way, hop by hop.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let loaded = match input::network(&args.files, args.network.as_deref(), args.output) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let network = &loaded.network;
    for name in [&args.from, &args.to] {
        if !network.sites.contains_key(name.as_str()) {
            let names: Vec<&str> = network.sites.keys().map(|site| site.as_str()).collect();
            let names = names.join(", ");
            let text = format!("there is no site {name}; the network has {names}");
            return Err(UsageError(text).into());
        }
    }
    let graph =
        what_if::remaining(network, &args.lose).map_err(|error| UsageError(error.to_string()))?;
    let ends = graph.index(&args.from).zip(graph.index(&args.to));
    let route = ends.and_then(|(from, to)| graph.route(&graph.tree(from), to));
    let ways = ends.map_or(0, |(from, to)| graph.disjoint(from, to));
    out::print(match args.output {
        Output::Json => json_text(args, route.as_ref(), ways)?,
        Output::Text => text(args, network, &graph, route.as_ref(), ways),
    })?;
    Ok(match route {
        Some(_) => Exit::Good,
        None => Exit::Negative,
    })
}

fn json_text(args: &Args, route: Option<&Route>, ways: usize) -> Result<String, serde_json::Error> {
    let value = json!({
        "from": args.from,
        "to": args.to,
        "lost": args.lose,
        "reachable": route.is_some(),
        "cost": route.map(|route| route.cost),
        "hops": route.map(|route| &route.hops),
        "disjointPaths": ways,
        "destination": args.destination,
        "trafficClass": args.destination.as_ref().map(|_| CLASS),
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

fn text(
    args: &Args,
    network: &ValidNetwork,
    graph: &SiteGraph,
    route: Option<&Route>,
    ways: usize,
) -> String {
    let mut text = format!("{} -> {}: ", args.from, args.to);
    match route {
        None => {
            text += &format!("no way{}\n", reason(args, network, graph));
            return text;
        }
        Some(route) if route.hops.is_empty() => text += "the same site\n",
        Some(route) => {
            text += &format!(
                "cost {}, {}\n",
                route.cost,
                counted(route.hops.len(), "hop")
            );
            text += &hops(route);
            text += &match ways {
                1 => "no other way shares no link with it\n".to_owned(),
                _ => format!("{ways} ways share no link\n"),
            };
        }
    }
    if let Some(destination) = &args.destination {
        text += &format!("{destination}: traffic class {CLASS}, which takes every link\n");
    }
    text
}

fn hops(route: &Route) -> String {
    let mut rows = vec![row(["HOP", "LINK", "TO", "COST", "SUM"])];
    let mut sum = 0;
    for (index, hop) in route.hops.iter().enumerate() {
        sum += u64::from(hop.cost);
        let cells = [
            (index + 1).to_string(),
            hop.link.to_string(),
            hop.to.to_string(),
            hop.cost.to_string(),
            sum.to_string(),
        ];
        rows.push(cells.to_vec());
    }
    lines(&rows, "  ")
}

/// Why one of the sites takes no part, if that is it.
fn reason(args: &Args, network: &ValidNetwork, graph: &SiteGraph) -> String {
    let mut gone = [&args.from, &args.to]
        .into_iter()
        .filter(|name| graph.index(name).is_none());
    let Some(name) = gone.next() else {
        return String::new();
    };
    let is_running = network
        .sites
        .get(name.as_str())
        .is_some_and(|site| site.is_running);
    let word = match (is_running, network.denied_sites.contains(name)) {
        (false, _) => "Stopped",
        (true, true) => "denied",
        (true, false) => "lost",
    };
    format!(": {name} is {word}")
}

/// A number with its word.
pub(super) fn counted(count: usize, word: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {word}{end}")
}

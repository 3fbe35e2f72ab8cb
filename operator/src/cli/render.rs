//! `causeway render FILE…`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Exit, Output, input, out, render_dir};
use crate::model::ValidNetwork;
use crate::names::SiteName;
use crate::network::credentials::{self, HashCache, OFFLINE_SALT_KEY};
use crate::network::load::load;
use crate::network::placement;
use crate::network::validate::MissingSecrets;
use crate::render;
use crate::render::redact::{REDACTED, redact};

/// Arguments of `causeway render`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway render deploy/examples/countries.yaml
  causeway render network.yaml users.yaml --site ie --show-secrets
  causeway render network.yaml --explain
  causeway render network.yaml users.yaml --output-dir brokers   # then: causeway-broker --config brokers/ie

Files are named in comments, one YAML document each. Hashes are made with a salt key of zeros, so that
the output of two runs can be compared.

--output-dir writes DIR/SITE for each site, with all secrets, its files in mode 0600 and its folders in 0700; with
certificates as far as FILE holds them. What is replaced is replaced at once, so a broker may run from it. The token of
the admin page and the salt key (DIR/salt-key) are made at the first time and kept.")]
pub struct Args {
    /// Documents, as `kubectl apply` would take them; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Only this site; may be given more than once.
    #[arg(long, value_name = "S")]
    pub site: Vec<String>,
    /// The network, where the files declare several.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Show passwords, tokens and hashes.
    #[arg(long)]
    pub show_secrets: bool,
    /// Print the authorization with the collective that each entry comes from, instead of files.
    #[arg(long)]
    pub explain: bool,
    /// Write the directories of the sites below DIR instead of printing them; every Secret has to be there.
    #[arg(long, value_name = "DIR", conflicts_with = "explain")]
    pub output_dir: Option<PathBuf>,
    /// How problems and files are printed.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

impl Args {
    fn wants(&self, site: &SiteName) -> bool {
        self.site.is_empty() || self.site.iter().any(|name| name == site.as_str())
    }
}

/// Prints the generated files, or every problem and no file.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let sources = match input::read(&args.files) {
        Ok(sources) => sources,
        Err(errors) => {
            errors
                .iter()
                .for_each(|error| out::complain(format_args!("error: {error}")));
            return Ok(Exit::BadInput);
        }
    };
    let missing = match args.output_dir {
        Some(_) => MissingSecrets::Refuse,
        None => MissingSecrets::Mark,
    };
    let loaded = match load(&sources, args.network.as_deref(), missing) {
        Ok(loaded) => loaded,
        Err(problems) => {
            return Ok(input::refuse(&problems, args.output));
        }
    };
    input::complain(&loaded.problems);
    let unknown = |site: &&String| !loaded.network.sites.contains_key(site.as_str());
    if let Some(site) = args.site.iter().find(unknown) {
        let names: Vec<&str> = loaded.network.sites.keys().map(SiteName::as_str).collect();
        out::complain(format_args!(
            "error: there is no site {site}; the network has {}",
            names.join(", ")
        ));
        return Ok(Exit::BadInput);
    }
    if let Some(folder) = &args.output_dir {
        render_dir::write(folder, &loaded.network, |site| args.wants(site))?;
        return Ok(Exit::Good);
    }
    let text = match args.explain {
        true => explain(&loaded.network),
        false => files(args, &loaded.network)?,
    };
    out::print(text)?;
    Ok(Exit::Good)
}

fn files(args: &Args, network: &ValidNetwork) -> anyhow::Result<String> {
    let mut cache = HashCache::new();
    match args.show_secrets {
        true => credentials::fill(network, &OFFLINE_SALT_KEY, &mut cache)?,
        // What is not shown need not be computed.
        false => cache.extend(
            credentials::missing(network, &cache)
                .into_iter()
                .map(|job| (job, REDACTED.to_owned())),
        ),
    }
    let mut all: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for site in network.sites.keys().filter(|site| args.wants(site)) {
        let Some(placement) = placement::in_cluster(network, site) else {
            continue;
        };
        let rendered = render::render(network, site, &placement, &cache)?;
        let shown = if args.show_secrets {
            rendered
        } else {
            redact(rendered)?
        };
        let texts = shown
            .into_iter()
            .map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned()));
        all.insert(site.as_str(), texts.collect());
    }
    match args.output {
        Output::Json => Ok(format!("{}\n", serde_json::to_string_pretty(&all)?)),
        Output::Text => {
            let documents = all.iter().flat_map(|(site, files)| {
                files
                    .iter()
                    .map(move |(name, text)| format!("# {site}/{name}\n{text}"))
            });
            Ok(documents.collect::<Vec<_>>().join("---\n"))
        }
    }
}

fn explain(network: &ValidNetwork) -> String {
    let mut lines = vec![format!(
        "{:<6} {:<34} {:<24} {:<24} {:<24} {}",
        "KIND", "PATTERN", "READ", "WRITE", "ADMIN", "COLLECTIVE"
    )];
    for entry in &network.entries {
        let kind = if entry.is_queue { "queue" } else { "topic" };
        let list = |groups: &[String]| {
            if groups.is_empty() {
                "-".to_owned()
            } else {
                groups.join(",")
            }
        };
        lines.push(format!(
            "{kind:<6} {:<34} {:<24} {:<24} {:<24} {}",
            entry.pattern,
            list(&entry.read),
            list(&entry.write),
            list(&entry.admin),
            entry.collective.as_deref().unwrap_or("-"),
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

//! The bundle of a network that `causeway up` runs, or has run, on this machine.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::bundle::{Bundle, BundleError};
use crate::client::http;
use crate::local::layout;
use crate::local::state;
use crate::render::{self, SiteFiles};

/// A page that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a log that are kept, the newest.
const LOG_BYTES: u64 = 16 << 20;
/// Files of the state folder that are secret as a whole.
const SECRET_FILES: [&str; 2] = ["salt-key", "ca/ca.key"];
/// Files of a site that may be read by everybody; of all others that are not rendered the size is told.
const PUBLIC_FILES: [&str; 4] = [
    render::BROKER,
    render::CERTIFICATE,
    render::TRUST_BUNDLE,
    render::CLIENT_TRUST_BUNDLE,
];

/// Reads everything about the network of a state folder into a bundle.
///
/// # Errors
/// The bundle cannot be written, or the folder holds no state.
pub fn collect(folder: &Path, bundle: &mut Bundle) -> anyhow::Result<()> {
    let slots = state::read_slots(folder)?.unwrap_or_default();
    let sites: Vec<&String> = slots.sites.keys().collect();
    // First of all: nothing is added before it is known what must not be in it.
    for name in SECRET_FILES {
        if let Ok(bytes) = fs::read(folder.join(name)) {
            let data = [(String::new(), bytes)].into();
            bundle.scrubber().learn(name, &data);
        }
    }
    let mut configurations = Vec::new();
    for site in &sites {
        let files = layout::read(&folder.join("sites").join(site).join("config"));
        if let Some(key) = files.as_ref().and_then(|files| files.get(render::KEY)) {
            let data = [(String::new(), key.clone())].into();
            bundle
                .scrubber()
                .learn(&format!("{site}/{}", render::KEY), &data);
        }
        for text in files
            .iter()
            .flat_map(|files| render::redact::secrets(files).unwrap_or_default())
        {
            bundle.scrubber().learn_text(site, &text);
        }
        configurations.push(files);
    }
    for (site, files) in sites.into_iter().zip(configurations) {
        bundle.reads(&format!("site {site}"));
        match files {
            Some(files) => configuration(site, files, bundle)?,
            None => bundle.note(&format!("sites/{site}/config"), "there is none"),
        }
        let place = format!("sites/{site}/broker.log");
        match tail(&folder.join(&place)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => bundle.note(
                &place,
                "there is none: with `up -o json` brokers log to standard error",
            ),
            log => bundle.add_or_note(&place, log)?,
        }
        let address = format!("127.0.0.1:{}", slots.ports(site)?.admin());
        for (path, name) in [("/status", "status.json"), ("/metrics", "metrics.txt")] {
            let page = http::get(&address, path, None, PATIENCE);
            bundle.add_or_note(&format!("sites/{site}/{name}"), page)?;
        }
    }
    let versions = json!({"command": env!("CARGO_PKG_VERSION")});
    bundle.add("slots.json", &serde_json::to_vec_pretty(&slots)?)?;
    bundle.add(
        "versions.yaml",
        serde_yaml::to_string(&versions)?.as_bytes(),
    )?;
    Ok(())
}

/// The files of a site without what is secret in them; of keys the size alone.
fn configuration(site: &str, files: SiteFiles, bundle: &mut Bundle) -> Result<(), BundleError> {
    let files = match render::redact::redact(files) {
        Ok(files) => files,
        Err(error) => {
            // What cannot be read cannot be redacted either.
            bundle.note(&format!("sites/{site}/config"), error);
            return Ok(());
        }
    };
    for (path, bytes) in files {
        let place = format!("sites/{site}/config/{path}");
        let is_redacted = path == render::SECRETS || path == render::USERS;
        match is_redacted || PUBLIC_FILES.contains(&path.as_str()) {
            true => bundle.add(&place, &bytes)?,
            false => {
                let size = format!("{} bytes, left out\n", bytes.len());
                bundle.add(&format!("{place}.size"), size.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// The end of a log.
fn tail(log: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

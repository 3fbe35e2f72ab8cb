//! Rendered files without what is secret in them.

use causeway_broker::config::file::{SecretsFile, UsersFile};

use super::{SECRETS, SiteFiles, USERS};

/// What stands in the place of a secret.
pub const REDACTED: &str = "<redacted>";

/// Hides every password, token and hash; what says that it is missing stays.
///
/// # Errors
/// A file is not what a broker would read.
pub fn redact(mut files: SiteFiles) -> Result<SiteFiles, serde_yaml::Error> {
    visit(&mut files, |text| REDACTED.clone_into(text))?;
    Ok(files)
}

/// Every password, token and hash in the files.
///
/// # Errors
/// A file is not what a broker would read.
pub fn secrets(files: &SiteFiles) -> Result<Vec<String>, serde_yaml::Error> {
    let mut found = Vec::new();
    visit(&mut files.clone(), |text| found.push(text.clone()))?;
    Ok(found)
}

fn visit(
    files: &mut SiteFiles,
    mut secret: impl FnMut(&mut String),
) -> Result<(), serde_yaml::Error> {
    let mut visit = |text: &mut String| {
        if !text.starts_with("<missing: ") {
            secret(text);
        }
    };
    if let Some(bytes) = files.get_mut(SECRETS) {
        let mut secrets: SecretsFile = serde_yaml::from_slice(bytes)?;
        secrets.admin_token.iter_mut().for_each(&mut visit);
        for link in secrets.links.values_mut() {
            visit(&mut link.current);
            link.previous.iter_mut().for_each(&mut visit);
        }
        *bytes = serde_yaml::to_string(&secrets)?.into_bytes();
    }
    if let Some(bytes) = files.get_mut(USERS) {
        let mut users: UsersFile = serde_yaml::from_slice(bytes)?;
        let users_of = users.users.iter_mut();
        users_of
            .flat_map(|user| &mut user.verifiers)
            .for_each(&mut visit);
        *bytes = serde_yaml::to_string(&users)?.into_bytes();
    }
    Ok(())
}

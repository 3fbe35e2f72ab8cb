//! What is in the Secrets and ConfigMaps that a network names, and which of them are not given.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;

use super::context::Context;
use super::error::Error;
use super::references::References;
use crate::api::patterns;
use crate::kube_io::secrets::Contents;

/// What was read.
#[derive(Default)]
pub struct Named {
    /// Secrets by name.
    pub secrets: BTreeMap<String, Contents>,
    /// ConfigMaps by name.
    pub config_maps: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// What a link or a listener alone hangs on and is not given, as "Kind name", with the API server's words.
    pub unread: BTreeMap<String, String>,
}

/// Reads what is named.
///
/// # Errors
/// A read failed of something that others hang on too, or the API server is busy or away.
pub async fn read(
    context: &Context,
    namespace: &str,
    references: &References,
) -> Result<Named, Error> {
    let mut named = Named::default();
    named.read_secrets(context, namespace, references).await?;
    named.read_maps(context, namespace, references).await?;
    Ok(named)
}

impl Named {
    async fn read_secrets(
        &mut self,
        context: &Context,
        namespace: &str,
        references: &References,
    ) -> Result<(), Error> {
        for name in &references.secrets {
            let what = format!("Secret {name}");
            let store = &context.stores.secrets;
            let read = context.secrets.get(&context.client, store, namespace, name);
            let found = match read.await {
                Err(cause) if references.of_one.contains(name) => self.forgo(what, cause)?,
                read => read.map_err(|cause| Error::Read { what, cause })?,
            };
            self.secrets
                .extend(found.map(|contents| (name.clone(), contents)));
        }
        Ok(())
    }

    /// ConfigMaps are not watched: the right to read them by name is all that is asked for.
    async fn read_maps(
        &mut self,
        context: &Context,
        namespace: &str,
        references: &References,
    ) -> Result<(), Error> {
        let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
        // A name is a part of a path: one that is none leads to another namespace.
        let names = references.config_maps.iter();
        for name in names.filter(|name| patterns::is_object(name)) {
            let found = match api.get_opt(name).await {
                Err(cause) => self.forgo(format!("ConfigMap {name}"), cause)?,
                Ok(found) => found,
            };
            self.config_maps
                .extend(found.map(|map| (name.clone(), data(map))));
        }
        Ok(())
    }

    /// Goes on without an object that one thing hangs on, where the API server refuses that object: without the right to it,
    /// or where it cannot be decrypted. One that is busy or away refuses them all, and nothing is decided then.
    fn forgo<T>(&mut self, what: String, cause: kube::Error) -> Result<Option<T>, Error> {
        match cause {
            kube::Error::Api(status) if matches!(status.code, 403 | 500) => {
                self.unread.insert(what, status.message);
                Ok(None)
            }
            cause => Err(Error::Read { what, cause }),
        }
    }
}

fn data(map: ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let texts = map.data.into_iter().flatten();
    let texts = texts.map(|(key, text)| (key, text.into_bytes()));
    let bytes = map.binary_data.into_iter().flatten();
    texts
        .chain(bytes.map(|(key, bytes)| (key, bytes.0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16) -> kube::Error {
        let status = kube::core::Status::failure("it is so", "Reason").with_code(code);
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn one_object_that_is_refused_is_gone_without_and_an_api_server_that_is_away_is_waited_for() {
        let mut named = Named::default();
        for code in [403, 500] {
            let what = format!("Secret s{code}");
            let found: Option<()> = named.forgo(what, answer(code)).expect("it goes on");
            assert_eq!(found, None);
        }
        let told: Vec<(&str, &str)> = named
            .unread
            .iter()
            .map(|(what, words)| (what.as_str(), words.as_str()))
            .collect();
        assert_eq!(
            told,
            [("Secret s403", "it is so"), ("Secret s500", "it is so")]
        );
        for code in [401, 429, 503, 504] {
            let waited: Result<Option<()>, Error> =
                named.forgo("Secret s".to_owned(), answer(code));
            assert!(waited.is_err(), "{code}");
        }
    }
}

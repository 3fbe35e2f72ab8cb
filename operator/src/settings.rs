//! What the operator was told at its start, parsed once.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::{Deserialize, Serialize};

use crate::api::status::OperatorStatus;
use crate::model::cluster::ValidImage;

/// Revision of the pod template that this version builds; see `network::build::pod_template`.
pub const TEMPLATE_REVISION: u32 = 1;

/// The sites that an operator runs (P1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claims {
    /// Every site of every network: for one cluster alone.
    Every,
    /// The sites of these names.
    Sites(BTreeSet<String>),
}

/// Why a list of sites is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// Nothing is in it.
    #[error(
        "no site is named: give the names from BrokerNetwork.spec.sites that this cluster runs, or *"
    )]
    Empty,
    /// The star beside names.
    #[error("* stands for every site and cannot be given beside names")]
    Mixed,
}

impl Claims {
    /// Reads names.
    ///
    /// # Errors
    /// There is none, or `*` is one of several.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ClaimsError> {
        let names = names.into_iter().map(str::trim);
        let names: BTreeSet<String> = names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        match (names.len(), names.contains("*")) {
            (0, _) => Err(ClaimsError::Empty),
            (1, true) => Ok(Self::Every),
            (_, true) => Err(ClaimsError::Mixed),
            (_, false) => Ok(Self::Sites(names)),
        }
    }

    /// Whether a site is one of them.
    #[must_use]
    pub fn holds(&self, site: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Sites(names) => names.contains(site),
        }
    }
}

impl std::fmt::Display for Claims {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every => formatter.write_str("every site of every network"),
            Self::Sites(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                formatter.write_str(&names.join(", "))
            }
        }
    }
}

/// What a pod is built from where its network says nothing. A Deployment keeps those it was built with, so that a newer
/// operator restarts nothing by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokerDefaults {
    /// The image.
    pub image: ValidImage,
    /// Processor and memory.
    pub resources: ResourceRequirements,
    /// Group of the files; absent where the platform chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_group: Option<i64>,
    /// Revision of the template.
    pub revision: u32,
}

/// What the operator was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The sites it runs.
    pub claims: Claims,
    /// What a pod is built from where its network says nothing.
    pub defaults: BrokerDefaults,
    /// Who it is.
    pub operator: OperatorStatus,
    /// Whether cert-manager is there and may be asked for certificates.
    pub has_cert_manager: bool,
}

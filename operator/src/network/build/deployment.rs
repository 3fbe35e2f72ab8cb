//! The Deployment of a broker.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{SiteContext, pod_template};
use crate::api::cluster::Strategy;
use crate::labels;

impl SiteContext<'_> {
    pub(super) fn deployment(&self) -> Result<Deployment, serde_json::Error> {
        let mut metadata = self.meta(self.own_name());
        let inputs = serde_json::to_string(&self.site.template)?;
        metadata.annotations = Some([(labels::TEMPLATE.to_owned(), inputs)].into());
        let template = pod_template::build(self.network(), self.name.as_str(), &self.site.template);
        Ok(Deployment {
            metadata,
            spec: DeploymentSpec {
                replicas: Some(i32::from(self.valid.is_running)),
                revision_history_limit: Some(2),
                selector: LabelSelector {
                    match_labels: Some(self.selector()),
                    ..LabelSelector::default()
                },
                strategy: Some(strategy(self.valid.cluster.strategy)),
                template,
                ..DeploymentSpec::default()
            },
            status: None,
        })
    }
}

fn strategy(strategy: Strategy) -> DeploymentStrategy {
    match strategy {
        // Two brokers of one site at a time would be two claims to it.
        Strategy::Recreate => DeploymentStrategy {
            type_: Some("Recreate".to_owned()),
            rolling_update: None,
        },
        // The one that is ready stays until the other one has taken over from it.
        Strategy::Handover => DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(1)),
                max_unavailable: Some(IntOrString::Int(0)),
            }),
        },
    }
}

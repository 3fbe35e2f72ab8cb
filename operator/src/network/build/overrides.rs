//! Merge patches of the user on what was built; `validate` has kept them off what is ours.

use serde_json::Value;

use super::SiteContext;
use super::secret::listener_part;
use crate::api::cluster::OverrideKind;
use crate::labels;
use crate::model::ListenerKind;
use crate::model::cluster::ValidOverride;
use crate::model::observed::{ChildKey, ChildKind};
use crate::names;

/// Applies every override that is about an object. The pod template's part is applied from what the Deployment keeps,
/// so that it waits for a restart as everything of the pod does.
pub(super) fn apply(
    overrides: &[ValidOverride],
    key: &ChildKey,
    context: &SiteContext<'_>,
    object: &mut Value,
) {
    for one in overrides {
        if kind(one.kind) != key.kind || !is_meant(one, key, context) {
            continue;
        }
        let mut patch = one.patch.clone();
        if let Some(spec) = patch.get_mut("spec").and_then(Value::as_object_mut)
            && key.kind == ChildKind::Deployment
        {
            spec.remove("template");
        }
        merge(object, &patch);
    }
    if key.kind == ChildKind::Deployment {
        let patches = &context.site.template.restart.placement.template_patches;
        for patch in patches {
            merge(&mut object["spec"]["template"], patch);
        }
        // What selects the pods is not the user's to change.
        let own = labels::selector(context.network(), context.name.as_str());
        for (key, value) in own {
            object["spec"]["template"]["metadata"]["labels"][key] = value.into();
        }
    }
}

fn is_meant(one: &ValidOverride, key: &ChildKey, context: &SiteContext<'_>) -> bool {
    let Some(part) = &one.part else {
        return true;
    };
    let named = ListenerKind::ALL
        .into_iter()
        .map(listener_part)
        .find(|listener| listener.as_str() == part);
    named.is_some_and(|listener| {
        names::site_part(context.network(), context.name.as_str(), listener) == key.name
    })
}

const fn kind(kind: OverrideKind) -> ChildKind {
    match kind {
        OverrideKind::Deployment => ChildKind::Deployment,
        OverrideKind::Service => ChildKind::Service,
        OverrideKind::NetworkPolicy => ChildKind::NetworkPolicy,
        OverrideKind::PodDisruptionBudget => ChildKind::PodDisruptionBudget,
        OverrideKind::ServiceAccount => ChildKind::ServiceAccount,
        OverrideKind::Certificate => ChildKind::Certificate,
    }
}

/// JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(own) = target else {
        return;
    };
    for (key, value) in fields {
        if value.is_null() {
            own.remove(key);
        } else {
            merge(own.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    #[test]
    fn a_merge_patch_adds_replaces_and_removes() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        merge(
            &mut target,
            &json!({"a": {"b": null, "d": {"e": 3}}, "list": [9]}),
        );
        assert_eq!(target, json!({"a": {"c": 2, "d": {"e": 3}}, "list": [9]}));
    }
}

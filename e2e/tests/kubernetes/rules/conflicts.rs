//! Somebody else changes the same objects all the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use causeway_e2e::wait;
use serde_json::{Value, json};

use super::{Behind, nothing_is_left_to_do};

/// So long somebody edits.
const STORM: Duration = Duration::from_secs(5);
/// Between two edits: a hundred a second, or as many as the machine does.
const PAUSE: Duration = Duration::from_millis(10);
/// Changes that come together are looked at together, ten times a second.
const LOOKS: usize = 10;

impl Behind {
    /// Edits objects in turn for a while, in which something else happens; returns how often.
    fn storm(
        &self,
        edits: &[(String, &(dyn Fn(usize) -> Value + Sync))],
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<usize> {
        let editor = self.cluster().editor()?;
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let storm = scope.spawn(|| -> Result<usize> {
                for count in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return Ok(count);
                    }
                    let begin = Instant::now();
                    let (path, patch) = &edits[count % edits.len()];
                    editor.merge(path, &patch(count))?;
                    std::thread::sleep(PAUSE.saturating_sub(begin.elapsed()));
                }
                Ok(0)
            });
            let begin = Instant::now();
            let happened = meanwhile();
            std::thread::sleep(STORM.saturating_sub(begin.elapsed()));
            is_over.store(true, Ordering::Relaxed);
            let edits = storm.join();
            happened?;
            edits.map_err(|_| anyhow!("the storm panicked"))?
        })
    }
}

/// O6: edits of fields that are not the operator's, up to a hundred a second, cause no write.
#[test]
fn fields_of_others_are_no_reason_to_write() -> Result<()> {
    let behind = Behind::new("rule-others")?;
    let operator = behind.operate("ie")?;
    let mark = behind.proxy.recorded();
    let note = |count: usize| json!({"metadata": {"annotations": {"example.com/edit": count.to_string()}}});
    let strategy = |count: usize| json!({"spec": {"progressDeadlineSeconds": 600 + count % 7}});
    let namespace = behind.place.namespace;
    let deployments = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let edits = behind.storm(
        &[
            (
                format!("{}/mcollective--ie-stomp", behind.path("services")),
                &note,
            ),
            (
                format!("{}/mcollective--ie-config", behind.path("secrets")),
                &note,
            ),
            (format!("{deployments}/mcollective--ie"), &strategy),
        ],
        || Ok(()),
    )?;
    operator.wait_settled()?;
    println!("{edits} edits of others' fields in {STORM:?}");
    ensure!(edits > 50, "only {edits} edits");
    let writes = behind.proxy.writes_since(mark);
    ensure!(writes.is_empty(), "{writes:#?}");
    let service = behind
        .place
        .json(&["get", "service", "mcollective--ie-stomp"])?;
    let annotations = &service["metadata"]["annotations"];
    ensure!(annotations["example.com/edit"].is_string(), "{annotations}");
    operator.stop()?;
    nothing_is_left_to_do(&behind.place, "ie")
}

/// O6: a field of the operator's that somebody changes a hundred times a second is put right no more often than the
/// operator looks, and stays right once that ends.
#[test]
fn a_field_that_is_fought_for_is_written_with_patience_and_won() -> Result<()> {
    let behind = Behind::new("rule-fight")?;
    let operator = behind.operate("ie")?;
    let mark = behind.proxy.recorded();
    let namespace = behind.place.namespace;
    let budget =
        format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/mcollective--ie");
    let other = |count: usize| json!({"spec": {"maxUnavailable": 2 + count % 50}});
    let edits = behind.storm(&[(budget, &other)], || Ok(()))?;
    let right = wait::until("the field to be right", wait::PATIENCE, || {
        let object = behind
            .place
            .json(&["get", "poddisruptionbudget", "mcollective--ie"])?;
        Ok((object["spec"]["maxUnavailable"] == 1).then_some(()))
    });
    right.with_context(|| operator.log())?;
    operator.wait_settled()?;
    let writes = behind.proxy.writes_since(mark).len();
    println!("{edits} edits in {STORM:?}, {writes} writes against them");
    ensure!(edits > 50, "only {edits} edits");
    let most = LOOKS * usize::try_from(STORM.as_secs())? + LOOKS;
    ensure!((1..=most).contains(&writes), "{writes} writes");
    operator.stop()?;
    nothing_is_left_to_do(&behind.place, "ie")
}

/// O6: what has to be done is done in the midst of such edits, not when they end.
#[test]
fn what_is_gone_is_made_while_others_edit_all_the_time() -> Result<()> {
    let behind = Behind::new("rule-storm")?;
    let operator = behind.operate("ie")?;
    let service = format!("{}/mcollective--ie-stomp", behind.path("services"));
    let note = |count: usize| json!({"metadata": {"annotations": {"example.com/edit": count.to_string()}}});
    let edits = behind.storm(&[(service, &note)], || {
        std::thread::sleep(Duration::from_secs(1));
        behind.take_budget()?;
        let made = behind.wait_budget(&operator, STORM - Duration::from_secs(2))?;
        println!("made {made:?} after it was taken");
        Ok(())
    })?;
    ensure!(edits > 50, "only {edits} edits");
    operator.stop()
}

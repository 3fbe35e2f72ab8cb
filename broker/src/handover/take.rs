//! The newer process: takes what the older one keeps, once it is the only one to have it.

use std::time::Duration;

use rustls::ClientConfig;

use super::ask::{Asker, Stock, count};
use super::greeting::Identity;
use super::words::{Section, Word};
use crate::config::Config;

/// When nothing has come of it for so long the newer process begins without the older one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the process before this one gave, and has no more.
#[derive(Debug, Default)]
pub struct Taken {
    /// All it kept.
    pub sections: Vec<Section>,
    /// Its epoch; that of this process has to be larger. 0 = there was none.
    pub epoch: u64,
}

/// Somebody runs this site and gives nothing: two processes at a time would be two claims to it.
#[derive(Debug, thiserror::Error)]
#[error("the process that runs this site ({address}) gives nothing: {why}")]
pub struct Refused {
    pub(super) address: String,
    pub(super) why: String,
}

/// Takes over from the process that runs this site, if there is one. What keeps this process from
/// starting is found out before: from here on it answers for what it got. `client`: as links are
/// dialled. Rule: R26.
///
/// # Errors
/// Somebody else runs it.
pub async fn take(config: &Config, client: &ClientConfig) -> Result<Taken, Refused> {
    take_within(PATIENCE, config, client).await
}

pub(super) async fn take_within(
    patience: Duration,
    config: &Config,
    client: &ClientConfig,
) -> Result<Taken, Refused> {
    let (Some(at), Some(identity)) = (&config.broker.handover, Identity::of(config)) else {
        return Ok(Taken::default());
    };
    let declared = format!("{}:{}", at.host, at.port);
    let mut asker = Asker::new(declared, identity, client, patience);
    let mut stock = asker.ask().await?;
    while let Some(got) = stock.take() {
        let sections = match settle(got).await {
            Ok(sections) => sections,
            Err(mut unsettled) => {
                stock = asker.ask().await?;
                if stock.is_some() {
                    continue;
                }
                tracing::warn!(
                    "the process before this one is gone and did not say that it has cleared: what it gave may be elsewhere too, and is flagged redelivered"
                );
                flag(&mut unsettled);
                unsettled
            }
        };
        let epoch = asker.epoch();
        return Ok(Taken { sections, epoch });
    }
    let epoch = asker.epoch();
    let mut sections = asker.into_partial();
    if !sections.is_empty() {
        tracing::warn!(
            messages = count(&sections),
            "the process before this one went away while it gave: what had arrived is here, flagged redelivered, and the rest is not"
        );
        flag(&mut sections);
    }
    Ok(Taken { sections, epoch })
}

/// Says that this process has everything, and hears that the older one has nothing of it any more.
///
/// # Errors
/// It did not say so: it has everything too, or gave it to somebody else meanwhile, or is gone.
async fn settle(mut stock: Stock) -> Result<Vec<Section>, Vec<Section>> {
    let told = async {
        stock.channel.tell(Word::Taken(stock.count)).await?;
        stock.channel.hear().await
    };
    match told.await {
        Ok(Word::Cleared(count)) if count == stock.count => return Ok(stock.sections),
        Ok(_) => tracing::info!("the process before this one does not say that it has cleared"),
        Err(error) => {
            tracing::info!(%error, "it is not known whether the process before this one has cleared");
        }
    }
    Err(stock.sections)
}

fn flag(sections: &mut [Section]) {
    for parcel in sections.iter_mut().flat_map(|one| &mut one.parcels) {
        parcel.redelivered = true;
    }
}

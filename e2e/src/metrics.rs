//! Reading Prometheus text.

use anyhow::{Context, Result};

/// One line of `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the metric.
    pub name: String,
    /// Names and values of its labels.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

/// All samples of a scrape.
#[derive(Debug, Clone, Default)]
pub struct Scrape(Vec<Sample>);

impl Scrape {
    /// Reads the text that `/metrics` answers.
    ///
    /// # Errors
    /// A line that is no sample.
    pub fn parse(text: &str) -> Result<Self> {
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| sample(line).with_context(|| format!("metric line {line:?}")))
            .collect::<Result<Vec<_>>>()
            .map(Self)
    }

    /// The sum of all series of that name which have these labels; 0 when there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0
            .iter()
            .filter(|sample| sample.name == name && sample.has(labels))
            .map(|sample| sample.value)
            .sum()
    }
}

impl Sample {
    fn has(&self, wanted: &[(&str, &str)]) -> bool {
        wanted.iter().all(|(name, value)| {
            self.labels
                .iter()
                .any(|(known, is)| known == name && is == value)
        })
    }
}

fn sample(line: &str) -> Result<Sample> {
    let (series, value) = line.rsplit_once(' ').context("no value")?;
    let (name, labels) = match series.split_once('{') {
        None => (series, Vec::new()),
        Some((name, rest)) => (name, labels(rest.trim_end_matches('}'))?),
    };
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value: value.parse()?,
    })
}

/// Label values of this project hold neither commas nor quotes.
fn labels(text: &str) -> Result<Vec<(String, String)>> {
    text.split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').context("label without a value")?;
            Ok((name.to_owned(), value.trim_matches('"').to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_over_the_labels_not_asked_for() -> Result<()> {
        let scrape = Scrape::parse(
            "# HELP m x\nm{link=\"a-b\",direction=\"out\"} 3\nm{link=\"b-c\",direction=\"out\"} 4\n\
             m{link=\"a-b\",direction=\"in\"} 9\nplain 1.5\n",
        )?;
        assert_eq!(scrape.sum("m", &[("direction", "out")]), 7.0);
        assert_eq!(scrape.sum("plain", &[]), 1.5);
        assert_eq!(scrape.sum("unknown", &[]), 0.0);
        Ok(())
    }
}

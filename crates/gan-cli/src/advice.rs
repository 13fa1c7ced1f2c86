//! Advice after a verdict, for a run with its settings.

use crate::config::{self, Config};
use anyhow::Result;
use gan_metrics::health::{Failure, Remedy, Verdict};
use std::collections::BTreeMap;

/// Gives advice to one run. The default is a run of which nothing is known.
#[derive(Debug, Default)]
pub(crate) struct Adviser {
    /// All keys of the configuration with their values.
    settings: BTreeMap<String, String>,
}

impl Adviser {
    pub(crate) fn of(config: &Config) -> Result<Self> {
        Ok(Self { settings: config::flat(config)? })
    }

    /// What the run may try: the remedies that it does not have yet.
    pub(crate) fn advice(&self, failure: Failure) -> String {
        failure.advice(|remedy| self.has(remedy))
    }

    /// The verdict in one line, with advice.
    pub(crate) fn said(&self, verdict: &Verdict) -> String {
        verdict.said(&self.advice(verdict.failure))
    }

    fn has(&self, remedy: &Remedy) -> bool {
        let is_set = |(key, value): &(&str, Option<&str>)| match value {
            Some(value) => self.settings.get(*key).is_some_and(|known| known == value),
            None => self.settings.keys().any(|known| known.starts_with(key)),
        };
        !remedy.sets.is_empty() && remedy.sets.iter().all(is_set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_a_run_has_is_not_advised() {
        let mut config = Config::load(Path::new("mnist-fast"), &[]).unwrap();
        let advice = |config: &Config| Adviser::of(config).unwrap().advice(Failure::ModeCollapse);
        assert!(!advice(&config).contains("relativistic"), "{}", advice(&config));
        assert!(advice(&config).ends_with(", or model.discriminator.pack = 2"));
        config.train.r1 = None;
        assert!(advice(&config).contains("relativistic"));
        config.model.discriminator.pack = 2;
        assert!(!advice(&config).contains("pack"));
        assert!(Adviser::default().advice(Failure::DiscriminatorWon).contains("train.r1, "));
    }
}

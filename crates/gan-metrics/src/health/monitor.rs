//! From vitals to verdicts: a pure function of what was measured, so that a run that goes on, and whoever reads its
//! records later, come to the same.

use super::rules::{RULES, Rule};
use super::verdict::{Failure, Verdict};
use super::vitals::{Baseline, Vitals};

/// Watches one run.
#[derive(Debug, Clone)]
pub struct Monitor {
    baseline: Baseline,
    history: Vec<(u64, Vitals)>,
    /// For each rule, the first of the checks in a row that show its symptom, and how many they are.
    symptoms: Vec<Option<(u64, usize)>>,
    verdicts: Vec<Verdict>,
    healthy: u64,
}

impl Monitor {
    /// A run that begins on such data.
    #[must_use]
    pub fn new(baseline: Baseline) -> Self {
        let symptoms = vec![None; RULES.len()];
        let mut monitor = Self { baseline, history: vec![], symptoms, verdicts: vec![], healthy: 0 };
        monitor.judge(0);
        monitor
    }

    /// Takes the vitals at `step` and returns what has become certain with them. A failure is said once.
    pub fn observe(&mut self, step: u64, vitals: Vitals) -> Vec<Verdict> {
        self.history.push((step, vitals));
        self.judge(step)
    }

    fn judge(&mut self, step: u64) -> Vec<Verdict> {
        let mut raised = vec![];
        let shown = RULES.each_ref().map(|rule| (rule.symptom)(&self.baseline, &self.history));
        let shows = |failure| {
            RULES.iter().zip(&shown).any(|(rule, shown)| rule.failure == failure && shown.is_some())
        };
        let explained = RULES.each_ref().map(|rule| rule.unless.iter().copied().any(shows));
        for (i, evidence) in shown.into_iter().enumerate() {
            let (Rule { failure, checks, .. }, seen) = (&RULES[i], &mut self.symptoms[i]);
            let Some(evidence) = evidence.filter(|_| !explained[i]) else {
                *seen = None;
                continue;
            };
            let (since, count) = seen.map_or((step, 1), |(since, count)| (since, count + 1));
            *seen = Some((since, count));
            let known = self.verdicts.iter().any(|verdict| verdict.failure == *failure);
            if count >= *checks && !known {
                raised.push(Verdict { failure: *failure, since, step, evidence });
            }
        }
        if self.symptoms.iter().all(Option::is_none) {
            self.healthy = step;
        }
        self.verdicts.extend(raised.iter().cloned());
        raised
    }

    /// Everything that has been certain so far, in the order in which it became so.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Whether the last check still shows the symptom.
    #[must_use]
    pub fn still_shows(&self, failure: Failure) -> bool {
        RULES.iter().zip(&self.symptoms).any(|(rule, seen)| rule.failure == failure && seen.is_some())
    }

    /// The last check that showed no symptom of anything, 0 if there is none: a run can go back to there.
    #[must_use]
    pub fn healthy_until(&self) -> u64 {
        self.healthy
    }

    /// The checks so far.
    #[must_use]
    pub fn history(&self) -> &[(u64, Vitals)] {
        &self.history
    }

    /// The data of the run.
    #[must_use]
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }
}

#[cfg(test)]
mod tests;

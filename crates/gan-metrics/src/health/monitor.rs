//! Derives verdicts from measurements. This is a pure function of the measurements. So a resumed
//! run, and a reader of its records, get the same verdicts.

use super::rules::{Check, FORMED, PATIENCE, RULES, Rule, Spacing, Symptom, WINDOW};
use super::verdict::{Failure, Verdict};
use super::vitals::{Baseline, Vitals};
use std::collections::BTreeSet;

/// Collects the health checks of one run, and decides which verdicts are certain.
#[derive(Debug, Clone)]
pub struct Monitor {
    baseline: Baseline,
    /// The step at which the monitor began.
    start: u64,
    /// The checks at each [`Spacing`].
    histories: [Vec<Check>; 3],
    /// What is known about each rule.
    seen: [Seen; RULES.len()],
    verdicts: Vec<Verdict>,
    /// Steps at which nothing was wrong, as far as is known now.
    healthy: Vec<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The step at which the present series of checks with the symptom began, and the length of
    /// the series.
    row: Option<(u64, usize)>,
    /// The last step at which the symptom showed. It counts even if another failure explained it.
    shown: Option<u64>,
}

impl Monitor {
    /// Makes a monitor for a run on these data, from the step `start` on.
    #[must_use]
    pub fn new(baseline: Baseline, start: u64) -> Self {
        let mut monitor = Self {
            baseline,
            start,
            histories: [const { vec![] }; 3],
            seen: [Seen::default(); RULES.len()],
            verdicts: vec![],
            healthy: vec![],
        };
        monitor.judge(start, [true; 3]);
        monitor
    }

    /// Takes the measurements at `step`, and returns the verdicts that became certain with them.
    /// Each failure is reported once.
    pub fn observe(&mut self, step: u64, vitals: Vitals) -> Vec<Verdict> {
        let vitals = vitals.finite();
        let is_far = |spacing: &Spacing| {
            let last = self.histories[*spacing as usize].last().map_or(self.start, |(step, _)| *step);
            step.saturating_sub(last) >= spacing.steps()
        };
        let asked = Spacing::ALL.map(|spacing| is_far(&spacing));
        for (history, _) in self.histories.iter_mut().zip(asked).filter(|(_, asked)| *asked) {
            history.push((step, vitals.clone()));
        }
        self.judge(step, asked)
    }

    /// Applies the rules whose spacing has a new check. `asked` says which spacings have one.
    fn judge(&mut self, step: u64, asked: [bool; 3]) -> Vec<Verdict> {
        let rules: Vec<usize> = (0..RULES.len()).filter(|&i| asked[RULES[i].spacing as usize]).collect();
        let mut symptoms = vec![];
        for &i in &rules {
            let history = &self.histories[RULES[i].spacing as usize];
            let symptom = (RULES[i].symptom)(&self.baseline, history);
            if symptom.is_some() {
                self.seen[i].shown = Some(step);
            }
            symptoms.push(symptom);
        }
        let explained: Vec<bool> = rules.iter().map(|&i| self.is_explained(i)).collect();
        let known = self.verdicts.len();
        for ((&i, symptom), explained) in rules.iter().zip(symptoms).zip(explained) {
            match symptom.filter(|_| !explained) {
                Some(symptom) => self.weigh(i, step, symptom),
                None => self.seen[i].row = None,
            }
        }
        if (0..RULES.len()).all(|i| !self.shows(i)) {
            self.healthy.push(step);
        }
        self.verdicts[known..].to_vec()
    }

    /// Records a symptom that a rule has just shown. This may make its failure certain.
    fn weigh(&mut self, rule: usize, step: u64, symptom: Symptom) {
        let Rule { failure, spacing, checks, .. } = RULES[rule];
        let history = &self.histories[spacing as usize];
        let first = history.len().checked_sub(symptom.checks).and_then(|i| history.get(i));
        let first = first.map_or(step, |(step, _)| *step);
        self.healthy.truncate(self.healthy.partition_point(|&healthy| healthy < first));
        let (since, count) = self.seen[rule].row.map_or((first, 1), |(since, count)| (since, count + 1));
        self.seen[rule].row = Some((since, count));
        if count >= checks && !self.knows(failure) {
            self.verdicts.push(Verdict { failure, since, step, evidence: symptom.evidence });
        }
    }

    /// Whether another failure explains the symptom of a rule. That failure must show now, or be
    /// certain and have shown within the checks that the rule uses.
    fn is_explained(&self, rule: usize) -> bool {
        let history = &self.histories[RULES[rule].spacing as usize];
        let window = history.len().checked_sub(WINDOW).map_or(self.start, |first| history[first].0);
        RULES[rule].unless.iter().any(|&failure| {
            let lately = |other: usize| self.seen[other].shown.is_some_and(|step| step >= window);
            rules_of(failure).any(|other| self.shows(other) || self.knows(failure) && lately(other))
        })
    }

    fn knows(&self, failure: Failure) -> bool {
        self.verdicts.iter().any(|verdict| verdict.failure == failure)
    }

    /// Whether the last check of this rule's spacing has its symptom.
    fn shows(&self, rule: usize) -> bool {
        let last = self.histories[RULES[rule].spacing as usize].last().map_or(self.start, |(step, _)| *step);
        self.seen[rule].shown == Some(last)
    }

    /// Every verdict so far, in the order in which they became certain.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Whether the last check still shows the symptom.
    #[must_use]
    pub fn still_shows(&self, failure: Failure) -> bool {
        rules_of(failure).any(|rule| self.shows(rule))
    }

    /// The last step at which nothing was wrong, or 0 if there is none. A run can go back to this
    /// step. A later check can show that earlier steps were not healthy, and this is taken into
    /// account.
    #[must_use]
    pub fn healthy_until(&self) -> u64 {
        self.healthy.last().copied().unwrap_or_default()
    }

    /// Steps to which the run may go back after a later verdict, the oldest first. Each of them
    /// may become [`Self::healthy_until`]. There are at most 25.
    #[must_use]
    pub fn ways_back(&self) -> Vec<u64> {
        let window = |spacing: Spacing| {
            let history = &self.histories[spacing as usize];
            history[history.len().saturating_sub(WINDOW)..].iter().map(|(step, _)| *step)
        };
        let seen: BTreeSet<u64> = window(Spacing::Near).chain(window(Spacing::Far)).collect();
        let first = window(Spacing::Far).next().unwrap_or_default();
        let before = self.healthy.iter().rev().find(|&&healthy| healthy < first);
        let since = self.healthy.iter().filter(|healthy| seen.contains(healthy));
        let mut ways: Vec<u64> =
            before.into_iter().chain(since).chain(self.healthy.last()).copied().collect();
        ways.sort_unstable();
        ways.dedup();
        ways
    }

    /// Returns the number of checks that some verdicts need, and the number of checks so far. It
    /// is `None` when there are enough. Before that, a run may be failing without a verdict.
    #[must_use]
    pub fn patience(&self) -> Option<(usize, usize)> {
        let seen = self.histories[Spacing::Far as usize].len();
        (seen < PATIENCE).then_some((PATIENCE, seen))
    }

    /// The relative distance of the images of the last check, if they do not resemble the data: one image,
    /// repeated, has 1. Either nothing is learned yet, or the run fails. Only more steps show which.
    #[must_use]
    pub fn unformed(&self) -> Option<f64> {
        let (_, vitals) = self.history().last()?;
        Some(vitals.images.distance).filter(|distance| *distance > FORMED)
    }

    /// The checks so far.
    #[must_use]
    pub fn history(&self) -> &[(u64, Vitals)] {
        &self.histories[Spacing::Any as usize]
    }

    /// The measurements of the run's data.
    #[must_use]
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }
}

fn rules_of(failure: Failure) -> impl Iterator<Item = usize> {
    (0..RULES.len()).filter(move |&i| RULES[i].failure == failure)
}

#[cfg(test)]
mod tests;

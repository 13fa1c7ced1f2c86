//! From vitals to verdicts: a pure function of what was measured, so that a run that goes on, and whoever reads its
//! records later, come to the same.

use super::rules::{Check, PATIENCE, RULES, Rule, Spacing, Symptom, WINDOW};
use super::verdict::{Failure, Verdict};
use super::vitals::{Baseline, Vitals};
use std::collections::BTreeSet;

/// Watches one run.
#[derive(Debug, Clone)]
pub struct Monitor {
    baseline: Baseline,
    /// The step at which the watch began.
    start: u64,
    /// The checks at each [`Spacing`].
    histories: [Vec<Check>; 3],
    /// What is known by each rule.
    seen: [Seen; RULES.len()],
    verdicts: Vec<Verdict>,
    /// Steps at which nothing was wrong, as far as is known by now.
    healthy: Vec<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The first of the checks in a row that show the symptom, and how many they are.
    row: Option<(u64, usize)>,
    /// The step at which it showed last, whosoever doing it was.
    shown: Option<u64>,
}

impl Monitor {
    /// A run on such data, to be watched from the step `start` on.
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

    /// Takes the vitals at `step` and returns what has become certain with them. A failure is said once.
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

    /// Asks the rules of the spacings for which the last check is new.
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

    /// Takes a symptom that a rule has just shown, which may make its failure certain.
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

    /// Whether what a rule sees is another failure's doing: one that shows, or is certain and showed among the checks that the
    /// rule looks back over.
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

    /// Whether the last check that a rule was shown has its symptom.
    fn shows(&self, rule: usize) -> bool {
        let last = self.histories[RULES[rule].spacing as usize].last().map_or(self.start, |(step, _)| *step);
        self.seen[rule].shown == Some(last)
    }

    /// Everything that has been certain so far, in the order in which it became so.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Whether the last check still shows the symptom.
    #[must_use]
    pub fn still_shows(&self, failure: Failure) -> bool {
        rules_of(failure).any(|rule| self.shows(rule))
    }

    /// The last step at which nothing was wrong, 0 if there is none: a run can go back to there. What a later check says of
    /// those before it counts too.
    #[must_use]
    pub fn healthy_until(&self) -> u64 {
        self.healthy.last().copied().unwrap_or_default()
    }

    /// Steps that a verdict to come may send the run back to, oldest first: some [`Self::healthy_until`] may still become, at
    /// most 25.
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

    /// How many checks some verdicts need, and how many of these there are, until there are enough: a run may be failing
    /// without a verdict.
    #[must_use]
    pub fn patience(&self) -> Option<(usize, usize)> {
        let seen = self.histories[Spacing::Far as usize].len();
        (seen < PATIENCE).then_some((PATIENCE, seen))
    }

    /// The checks so far.
    #[must_use]
    pub fn history(&self) -> &[(u64, Vitals)] {
        &self.histories[Spacing::Any as usize]
    }

    /// The data of the run.
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

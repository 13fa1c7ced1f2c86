//! Which events a run sends, and in which order.

use super::sinks::Sink;
use super::*;
use crate::config::Config;
use crate::judge::{Channels, Judges, Pixels, sample};
use crate::ranks::Leader;
use crate::run_dir::RunDir;
use anyhow::Result;
use candle_core::Device;
use gan_data::{Batches, BatchesConfig, Dataset, LastBatch, Range};
use gan_metrics::{Classifier, Features, Reference};
use gan_ops::rng::Stream;
use gan_train::Outcome;
use gan_train::group::Alone;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// A sink that records the names of the events. It sends an interrupt in one step.
struct Recorder {
    heard: Rc<RefCell<Vec<String>>>,
    interrupt: Interrupt,
    interrupt_at: u64,
}

impl Sink for Recorder {
    fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        let name = match event {
            Event::Begun(begun) => format!("begun {} of {}", begun.step, begun.steps),
            Event::Known(verdict) => format!("known {}", verdict.step),
            Event::Baseline(line) => format!("baseline {}", line.step),
            Event::Step(report) => {
                if report.step == self.interrupt_at {
                    self.interrupt.raise();
                }
                format!("step {}", report.step)
            }
            Event::Losses(line) => format!("losses {}", line.step),
            Event::Drawn { step, .. } => format!("drawn {step}"),
            Event::Checked { line, .. } => format!("checked {}", line.step),
            Event::Verdict(line) => format!("verdict {}: {}", line.step, line.verdict.failure.name()),
            Event::Evaluated(line) => format!("evaluated {}", line.step),
            Event::Saved { step, path } => {
                assert!(path.join("state.json").exists());
                format!("saved {step}")
            }
            Event::WentBack(line) => format!("went back to {}", line.step),
            Event::Ended { step, how: Ending::InOrder { outcome: Outcome::Complete, .. } } => {
                format!("ended {step}: complete")
            }
            Event::Ended { step, how: Ending::InOrder { outcome: Outcome::Stopped, .. } } => {
                format!("ended {step}: stopped")
            }
            Event::Ended { step, how: Ending::Failing { why, .. } } => format!("ended {step}: {why}"),
            Event::Ended { step, how: Ending::Broken(_) } => format!("ended {step}: broken"),
        };
        self.heard.borrow_mut().push(name);
        Ok(())
    }
}

const SETS: [&str; 11] = [
    "model.generator.widths=[4]",
    "model.discriminator.widths=[4]",
    "model.latent-dim=4",
    "data.batch-size=16",
    "train.steps=4",
    "train.log-every=2",
    "train.sample-every=2",
    "train.sample-count=3",
    "train.checkpoint-every=2",
    "train.health.every=2",
    "train.health.samples=64",
];

/// A small run on noise in a directory.
fn plan(directory: &Path, sets: &[&str]) -> Plan {
    let sets: Vec<String> = SETS.iter().chain(sets).map(ToString::to_string).collect();
    let config = Config::load(Path::new("mlp-002"), &sets).unwrap();
    let pixels = (0..64 * 784).map(|i| (i * 7 % 251) as u8).collect();
    let data = Dataset::new("noise", "memory", pixels, 1, 28).unwrap();
    let batches = BatchesConfig {
        batch_size: config.data.batch_size,
        seed: config.seed,
        range: Range::MinusOneOne,
        channels: 1,
        keep_last: LastBatch::Drop,
        flip: false,
    };
    let batches = Batches::new(data, batches).unwrap();
    Plan {
        run: RunDir::open(&directory.join("run")).unwrap(),
        horizon: config.train.horizon(batches.batches_per_epoch()).unwrap(),
        config,
        fingerprint: "noise".to_owned(),
        batches,
        device: Device::Cpu,
        judges: None,
        interrupt: Interrupt::default(),
        leader: Leader::new(Arc::new(Alone)),
    }
}

fn judges() -> Judges {
    let features = Features::Classifier(Box::new(Classifier::mnist(&Device::Cpu).unwrap()));
    let real = |purpose: &str| {
        let mut stream = Stream::new(0, purpose, 0);
        let images = stream.uniform(-1., 1., (96, 1, 28, 28), &Device::Cpu).unwrap();
        sample(&features, [Ok(images)].into_iter(), Pixels::Dropped, Channels::Colours).unwrap()
    };
    let reference = Reference::new(real("train"), real("test")).unwrap();
    let channels = Channels::Colours;
    let floor = reference.floor(64).unwrap();
    Judges { features, recorded: None, reference, floor, channels, tells_classes: false, count: 64 }
}

/// A sink that cannot record a step, nor anything after it.
struct Full {
    from: u64,
    is_full: bool,
}

impl Sink for Full {
    fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        self.is_full |= matches!(event, Event::Step(report) if report.step == self.from);
        if self.is_full { Err(anyhow::anyhow!("no space left")) } else { Ok(()) }
    }
}

/// Trains and returns the names of the events. The signal comes in step `interrupt_at`.
fn heard(plan: Plan, interrupt_at: u64) -> Vec<String> {
    let sinks = Sinks::of(&plan.run, &plan.config).unwrap();
    train(plan, sinks, interrupt_at).0
}

/// Trains with these sinks and one that records the names of the events.
fn train(plan: Plan, mut sinks: Sinks, interrupt_at: u64) -> (Vec<String>, Result<Option<Outcome>>) {
    let heard = Rc::<RefCell<Vec<String>>>::default();
    sinks.push(Recorder { heard: Rc::clone(&heard), interrupt: plan.interrupt.clone(), interrupt_at });
    let newest = gan_train::checkpoint::newest(&plan.run.checkpoints()).unwrap();
    let mut session = Session { plan, sinks };
    let mut state = session.begin(newest.as_deref()).unwrap();
    session.write_config().unwrap();
    let outcome = session.run(&mut state);
    (heard.take(), outcome)
}

#[test]
fn a_run_tells_what_it_does_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut plan = plan(directory.path(), &["train.evaluate.every-kimg=0", "train.evaluate.count=64"]);
    plan.judges = Some(Arc::new(judges()));
    let expected = [
        "begun 0 of 4",
        "baseline 0",
        "step 1",
        "step 2",
        "losses 2",
        "drawn 2",
        "checked 2",
        "saved 2",
        "step 3",
        "step 4",
        "losses 4",
        "drawn 4",
        "checked 4",
        "evaluated 4",
        "saved 4",
        "ended 4: complete",
    ];
    assert_eq!(heard(plan, 0), expected);
    // The journal has one line for each event that is a line, in the same order.
    let lines = std::fs::read_to_string(directory.path().join("run/metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let key = |line: &serde_json::Value| {
        let keys = ["baseline", "d_loss", "health", "evaluate"];
        let key = keys.into_iter().find(|key| line.get(key).is_some()).unwrap();
        format!("{key} {}", line["step"])
    };
    let keys: Vec<String> = lines.iter().map(key).collect();
    assert_eq!(keys, ["baseline 0", "d_loss 2", "health 2", "d_loss 4", "health 4", "evaluate 4"]);
}

#[test]
fn zero_leaves_what_the_end_brings() {
    let directory = tempfile::tempdir().unwrap();
    let never =
        ["train.log-every=0", "train.sample-every=0", "train.checkpoint-every=0", "train.health.every=0"];
    let expected = ["begun 0 of 4", "step 1", "step 2", "step 3", "step 4", "losses 4", "drawn 4", "saved 4"];
    let heard = heard(plan(directory.path(), &never), 0);
    assert_eq!(heard, [&expected[..], &["ended 4: complete"]].concat());
}

#[test]
fn an_interrupted_run_saves_and_goes_on_from_there() {
    let directory = tempfile::tempdir().unwrap();
    let first = heard(plan(directory.path(), &[]), 3);
    assert_eq!(first[7..], ["saved 2", "step 3", "saved 3", "ended 3: stopped"][..], "{first:?}");
    let then = heard(plan(directory.path(), &[]), 0);
    let expected =
        ["begun 3 of 4", "step 4", "losses 4", "drawn 4", "checked 4", "saved 4", "ended 4: complete"];
    assert_eq!(then, expected);
    // The next process draws the final state again, and writes no further checkpoint.
    assert_eq!(heard(plan(directory.path(), &[]), 0), ["begun 4 of 4", "drawn 4", "ended 4: complete"]);
}

#[test]
fn a_verdict_stops_a_run_in_good_order() {
    let directory = tempfile::tempdir().unwrap();
    let sets = ["train.generator.lr=1e-12", "train.health.every=1", "train.health.on-failure=stop"];
    let heard = heard(plan(directory.path(), &sets), 0);
    let expected = [
        "begun 0 of 4",
        "baseline 0",
        "step 1",
        "checked 1",
        "step 2",
        "losses 2",
        "drawn 2",
        "checked 2",
        "verdict 2: the generator is frozen",
        "saved 2",
        "ended 2: train.health.on-failure is \"stop\"",
    ];
    assert_eq!(heard, expected);
}

#[test]
fn a_rollback_is_told_and_training_begins_again() {
    let directory = tempfile::tempdir().unwrap();
    // The second step produces numbers that are not finite. The first has a rate of 0, because
    // 1e30 - (1e30 - 2e-4) is 0. A check sees that nothing moved, so only the start is healthy.
    let sets = [
        "train.generator.lr-schedule={ to = 1e30, over-kimg = 0.048 }",
        "train.discriminator.lr-schedule={ to = 1e30, over-kimg = 0.048 }",
        "train.log-every=0",
        "train.sample-every=0",
        "train.checkpoint-every=1",
        "train.health.every=1",
        "train.health.on-failure=rollback",
    ];
    let heard = heard(plan(directory.path(), &sets), 0);
    let expected = [
        "begun 0 of 4",
        "baseline 0",
        "step 1",
        "checked 1",
        "saved 1",
        "verdict 2: divergence",
        "went back to 0",
        "begun 0 of 4",
        "step 1",
        "checked 1",
        "saved 1",
        "verdict 2: divergence",
        "ended 2: the run has gone back once before",
    ];
    assert_eq!(heard, expected);
}

/// The journal without the clock, and the names of the checkpoints.
fn left(directory: &Path) -> (Vec<serde_json::Value>, Vec<String>) {
    let journal = std::fs::read_to_string(directory.join("run/metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["seconds", "images_per_s", "crc32"] {
            line.as_object_mut().unwrap().remove(key);
        }
        line
    };
    let checkpoints = std::fs::read_dir(directory.join("run/checkpoints")).unwrap();
    let mut checkpoints: Vec<_> =
        checkpoints.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    checkpoints.sort();
    (journal.lines().map(line).collect(), checkpoints)
}

#[test]
fn an_interrupted_run_goes_back_to_where_the_unbroken_one_does() {
    // The run fails at some step after the second checkpoint. With lower rates it fails again.
    let sets = [
        "train.generator.lr=0.1",
        "train.discriminator.lr=0.1",
        "train.steps=60",
        "train.checkpoint-every=5",
        "train.keep=1",
        "train.health.every=1",
        "train.health.on-failure=rollback",
        "train.sample-every=0",
    ];
    let unbroken = tempfile::tempdir().unwrap();
    let all = heard(plan(unbroken.path(), &sets), 0);
    let back = all.iter().position(|event| event.starts_with("went back")).unwrap();
    assert_ne!(all[back], "went back to 0", "{all:?}");
    let fails_at: u64 = all[back - 1].split([' ', ':']).nth(1).unwrap().parse().unwrap();
    let expected = left(unbroken.path());
    for step in 1..fails_at {
        let broken = tempfile::tempdir().unwrap();
        let first = heard(plan(broken.path(), &sets), step);
        assert_eq!(first.last(), Some(&format!("ended {step}: stopped")), "{first:?}");
        heard(plan(broken.path(), &sets), 0);
        assert_eq!(left(broken.path()), expected, "{step}");
    }
}

#[test]
fn an_evaluation_that_a_signal_ends_is_made_up_for() {
    let sets = ["train.evaluate.every-kimg=0", "train.evaluate.count=64", "train.health.every=0"];
    let [unbroken, broken] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let judged = |directory: &Path| {
        let mut plan = plan(directory, &sets);
        plan.judges = Some(Arc::new(judges()));
        plan
    };
    heard(judged(unbroken.path()), 0);
    // The signal comes in the last step, so it ends the evaluation that follows, or comes too late.
    let first = heard(judged(broken.path()), 4);
    assert!(first.contains(&"saved 4".to_owned()), "{first:?}");
    let then = heard(judged(broken.path()), 0);
    assert_eq!(
        then.contains(&"evaluated 4".to_owned()),
        !first.contains(&"evaluated 4".to_owned()),
        "{first:?} {then:?}"
    );
    assert_eq!(left(broken.path()).0, left(unbroken.path()).0);
    let best = |directory: &Path| std::fs::read(directory.join("run/best/evaluation.json")).unwrap();
    assert_eq!(best(broken.path()), best(unbroken.path()));
}

#[test]
fn images_that_a_signal_ends_are_drawn_by_the_resume() {
    // Drawing takes longer than the second for which the run waits.
    let sets = [
        "train.sample-count=4096",
        "model.generator.widths=[2048, 2048, 2048]",
        "train.steps=3",
        "train.health.every=0",
    ];
    let [unbroken, broken] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    heard(plan(unbroken.path(), &sets), 0);
    let first = heard(plan(broken.path(), &sets), 2);
    assert_eq!(first.last().unwrap(), "ended 2: stopped");
    let then = heard(plan(broken.path(), &sets), 0);
    let drawn = "drawn 2".to_owned();
    assert_ne!(first.contains(&drawn), then.contains(&drawn), "{first:?} {then:?}");
    let grid = |directory: &Path| std::fs::read(directory.join("run/samples/step-00000002.png")).unwrap();
    assert!(grid(broken.path()) == grid(unbroken.path()));
    assert_eq!(left(broken.path()).1, left(unbroken.path()).1);
}

#[test]
fn every_sink_hears_the_end_when_one_fails() {
    let directory = tempfile::tempdir().unwrap();
    for from in [1, 3] {
        let plan = plan(directory.path(), &["train.health.every=0", "train.log-every=0"]);
        let mut sinks = Sinks::of(&plan.run, &plan.config).unwrap();
        sinks.push(Full { from, is_full: false });
        let (heard, outcome) = train(plan, sinks, 0);
        assert_eq!(heard.last(), Some(&format!("ended {from}: broken")), "{heard:?}");
        let problem = format!("{:#}", outcome.unwrap_err());
        assert!(problem.ends_with("no space left"), "{problem}");
        std::fs::remove_dir_all(directory.path().join("run")).unwrap();
    }
}

#[test]
fn a_run_that_breaks_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let sets = ["train.generator.lr=1e30", "train.discriminator.lr=1e30", "train.health.every=0"];
    let heard = heard(plan(directory.path(), &sets), 0);
    assert_eq!(heard, ["begun 0 of 4", "verdict 1: divergence", "ended 1: broken"]);
}

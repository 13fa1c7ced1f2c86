//! The ranks after the first. They do what rank 0 tells them, and write nothing.

use super::of_device;
use super::orders::{Answer, Beginning, Order, weights};
use super::shares::{self, Sampled, Weights};
use crate::args;
use crate::aside;
use crate::commands::train::batches;
use crate::config::Config;
use crate::device;
use crate::draw::class_counts;
use crate::exit::{End, message};
use crate::judge;
use crate::run::{Interrupt, Plan, share_of_step};
use anyhow::{Result, bail};
use candle_core::Device;
use gan_data::Batches;
use gan_metrics::Features;
use gan_train::group::Group;
use gan_train::{TrainError, Trainer, checkpoint};
use std::sync::Arc;

/// One rank's part of the training.
struct Follower {
    config: Config,
    batches: Batches,
    device: Device,
    trainer: Trainer,
    /// What evaluations look with, if there are any.
    features: Arc<Option<Features>>,
}

/// Follows rank 0 to the end of the training.
pub(crate) fn follow(args: &args::Train, group: &Arc<dyn Group>) -> Result<End> {
    // Rank 0 hears of a signal too, and decides when the training ends.
    let interrupt = Interrupt::install()?;
    let _saves = interrupt.saves();
    obey(args, group, &interrupt)
}

/// Does what rank 0 says until it says that the training is over.
fn obey(args: &args::Train, group: &Arc<dyn Group>, interrupt: &Interrupt) -> Result<End> {
    let ranks = [group.rank(), group.size()];
    let mut follower: Option<Follower> = None;
    loop {
        let mut order = vec![];
        group.broadcast(&mut order)?;
        match serde_json::from_slice(&order)? {
            Order::Begin(beginning) => {
                let begun = Follower::begin(args, group, &beginning);
                let answer: Answer = match &begun {
                    Ok(follower) => Ok(weights(&follower.trainer)?),
                    Err(error) => Err(message(error)),
                };
                group.gather(&serde_json::to_vec(&answer)?, None)?;
                follower = begun.ok();
            }
            Order::Join => {
                let Some(begun) = follower.take() else { bail!("ranks that join before a beginning") };
                follower = Some(begun.join(group)?);
            }
            Order::Step => {
                let Some(follower) = &mut follower else { bail!("a step before a beginning") };
                follower.step(&**group)?;
            }
            Order::Generate(weights) => {
                let mut latents = vec![];
                group.broadcast(&mut latents)?;
                let images = follower.as_ref().map(|follower| follower.generate(weights, &latents, ranks));
                // Rank 0 does what a rank cannot do, and reports the reason.
                group.gather(&images.and_then(Result::ok).unwrap_or_default(), None)?;
            }
            Order::Look(count) => {
                let seen = follower.as_ref().map(|follower| follower.look(count, ranks, interrupt));
                group.gather(&seen.and_then(Result::ok).unwrap_or_default(), None)?;
            }
            Order::End => return Ok(End::Done),
        }
    }
}

impl Follower {
    fn begin(args: &args::Train, group: &Arc<dyn Group>, beginning: &Beginning) -> Result<Self> {
        let Beginning { version, config, fingerprint, checkpoint: from } = beginning;
        // All messages must be taken before anything can fail, or the next one would be taken for another.
        let mut contents = vec![];
        for _ in from.iter().flat_map(|from| &from.files) {
            let mut content = vec![];
            group.broadcast(&mut content)?;
            contents.push(content);
        }
        let directory = tempfile::tempdir()?;
        let mut saved = None;
        if let Some(from) = from {
            let path = directory.path().join(&from.name);
            std::fs::create_dir(&path)?;
            for (name, content) in from.files.iter().zip(contents) {
                std::fs::write(path.join(name), content)?;
            }
            saved = Some(path);
        }
        check_version(version)?;
        let file = directory.path().join("config.toml");
        std::fs::write(&file, config)?;
        let mut config = Config::load(&file, &[])?;
        config.find_files(args.data_dir.as_deref())?;
        let device = device::open(&args.device.device)?;
        let batches = batches(&config, &file)?;
        let own = Plan::fingerprint_of(batches.dataset());
        if own != *fingerprint {
            let data = batches.dataset().source();
            bail!("it has other data than rank 0: {data}");
        }
        let Config { seed, model, train, .. } = &config;
        let trainer = match &saved {
            None => Trainer::new(model, train, *seed, &device)?,
            Some(path) => {
                let mut settings = config.settings()?;
                settings.insert(Plan::DATA.to_owned(), own);
                checkpoint::load(path, model, train, *seed, &settings, &device)?.0
            }
        };
        let trainer = trainer.with_class_counts(class_counts(model, batches.dataset()));
        let features = match &config.reporting.evaluate {
            Some(evaluate) => Some(judge::features(evaluate.features.as_deref(), None, config.data.name)?),
            None => None,
        };
        let features = Arc::new(features);
        Ok(Self { config, batches, device, trainer, features })
    }

    /// Trains with the other ranks from now on.
    fn join(mut self, group: &Arc<dyn Group>) -> Result<Self> {
        self.trainer = self.trainer.in_group(of_device(group, &self.device)?)?;
        Ok(self)
    }

    fn generate(&self, weights: Weights, latents: &[u8], ranks: [usize; 2]) -> Result<Vec<u8>> {
        match weights {
            Weights::Present => shares::drawn(self.trainer.generator(), latents, ranks),
            Weights::Average => shares::drawn(&*self.trainer.sampler()?, latents, ranks),
        }
    }

    /// Looks at this rank's part of the images of an evaluation. After a signal there is nothing to see.
    fn look(&self, count: usize, ranks: [usize; 2], interrupt: &Interrupt) -> Result<Vec<u8>> {
        let features = Arc::clone(&self.features);
        let sampled = Sampled::of(&self.trainer, &*self.trainer.sampler()?, count);
        let look = move || match &*features {
            Some(features) => shares::seen_bytes(&shares::look(features, &sampled, ranks)?),
            None => Ok(vec![]),
        };
        Ok(aside::compute(look, || interrupt.has_come())?.transpose()?.unwrap_or_default())
    }

    fn step(&mut self, group: &dyn Group) -> Result<()> {
        let step = self.trainer.steps_done();
        let real = share_of_step(&self.batches, &self.config, &self.device, step, group)?;
        match self.trainer.step(real) {
            // Every rank finds the same number, and rank 0 says it.
            Ok(_) | Err(TrainError::NonFinite { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Refuses to train together with a program of another version, which may compute something else.
fn check_version(of_rank_0: &str) -> Result<()> {
    let own = env!("CARGO_PKG_VERSION");
    if of_rank_0 != own {
        bail!("this is version {own}, and rank 0 is version {of_rank_0}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;
    use gan_train::group::{Collectives, LocalLink};

    #[test]
    fn a_rank_of_another_version_says_so_and_waits_for_the_end() {
        let mut links = LocalLink::group(2).into_iter().map(Collectives::new);
        let (first, second) = (links.next().unwrap(), links.next().unwrap());
        let follower = std::thread::spawn(move || {
            let Command::Train(args) = Args::parse_from(["gan-cli", "train"]).command else { panic!() };
            obey(&args, &(Arc::new(second) as Arc<dyn Group>), &Interrupt::default()).map(|_| ())
        });
        let send = |order: &Order| first.broadcast(&mut serde_json::to_vec(order).unwrap()).unwrap();
        send(&Order::Begin(Box::new(Beginning {
            version: "0.0.1".to_owned(),
            config: "another format".to_owned(),
            fingerprint: String::new(),
            checkpoint: None,
        })));
        let answers = first.gather(&[], None).unwrap();
        let answer: Answer = serde_json::from_slice(&answers[1]).unwrap();
        let own = env!("CARGO_PKG_VERSION");
        assert_eq!(answer.unwrap_err(), format!("this is version {own}, and rank 0 is version 0.0.1"));
        // It has nothing to draw with, and rank 0 then does its part.
        send(&Order::Look(100));
        assert_eq!(first.gather(&[], None).unwrap()[1], [0u8; 0]);
        send(&Order::End);
        follower.join().unwrap().unwrap();
    }
}

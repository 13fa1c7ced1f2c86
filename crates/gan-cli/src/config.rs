//! One experiment: a TOML file, the overrides of the command line, and what a resume may not change.

use crate::exit::usage;
use anyhow::{Context, Result};
use gan_data::DataConfig;
use gan_models::ModelConfig;
use gan_train::TrainConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The whole of a configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Decides the initial weights, the noise and the order of the data.
    pub(crate) seed: u64,
    pub(crate) data: DataConfig,
    pub(crate) model: ModelConfig,
    pub(crate) train: TrainConfig,
}

/// The files of `configs/`, so that an installed program has them too. The link to them in this crate puts them into its
/// package.
pub(crate) const BUILT_IN: [(&str, &str); 16] = [
    ("mnist-5k", include_str!("../configs/mnist-5k.toml")),
    ("mlp-001", include_str!("../configs/mlp-001.toml")),
    ("mlp-001-verbatim", include_str!("../configs/mlp-001-verbatim.toml")),
    ("mlp-002", include_str!("../configs/mlp-002.toml")),
    ("mlp-003", include_str!("../configs/mlp-003.toml")),
    ("dcgan-28", include_str!("../configs/dcgan-28.toml")),
    ("dcgan-64", include_str!("../configs/dcgan-64.toml")),
    ("mnist-fast", include_str!("../configs/mnist-fast.toml")),
    ("mnist-best", include_str!("../configs/mnist-best.toml")),
    ("mnist-conditional", include_str!("../configs/mnist-conditional.toml")),
    ("fashion", include_str!("../configs/fashion.toml")),
    ("lsgan", include_str!("../configs/lsgan.toml")),
    ("hinge-sn", include_str!("../configs/hinge-sn.toml")),
    ("wgan-gp", include_str!("../configs/wgan-gp.toml")),
    ("r3gan", include_str!("../configs/r3gan.toml")),
    ("stacked-mnist", include_str!("../configs/stacked-mnist.toml")),
];

/// Keys that may differ when a run goes on: its length, what it reports, and where the data lie (their
/// fingerprint is compared instead).
const FREE: [&str; 10] = [
    "data.dir",
    "train.health",
    "train.evaluate",
    "train.steps",
    "train.epochs",
    "train.log-every",
    "train.sample-every",
    "train.sample-count",
    "train.checkpoint-every",
    "train.keep",
];

impl Config {
    /// Reads `file`, or the built-in configuration of that name, and applies `KEY=VALUE` overrides
    /// before anything is checked, so that they get the same checks.
    pub(crate) fn load(file: &Path, sets: &[String]) -> Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => match built_in(file) {
                Some(text) => text.to_owned(),
                None => return Err(unreadable(file, &error)),
            },
        };
        let mut table: toml::Table = toml::from_str(&text)
            .map_err(|e| usage(format!("{}: {}", file.display(), e.to_string().trim_end())))?;
        for set in sets {
            apply(&mut table, set).with_context(|| format!("--set {set}"))?;
        }
        let config: Self = serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|e| {
            // The second line repeats the path.
            let problem = e.inner().to_string();
            let problem = problem.lines().next().unwrap_or_default();
            match e.path().to_string().as_str() {
                "." => usage(format!("{}: {problem}", file.display())),
                path => usage(format!("{}: {path}: {problem}", file.display())),
            }
        })?;
        config.model.validate().with_context(|| file.display().to_string())?;
        config.model.validate_batch(config.data.batch_size).with_context(|| file.display().to_string())?;
        config.train.validate().with_context(|| file.display().to_string())?;
        Ok(config)
    }

    /// The file's text with every default written out.
    pub(crate) fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// Finds the files that are named, so that a resume does from another working directory: those of the data (see
    /// [`set_data_dir`]), and the classifier's.
    pub(crate) fn find_files(&mut self, data_dir: Option<&Path>) -> Result<()> {
        set_data_dir(&mut self.data, data_dir)?;
        if let Some(features) = self.train.evaluate.as_mut().and_then(|evaluate| evaluate.features.as_mut()) {
            if !features.exists() {
                return Err(usage(format!("train.evaluate.features: {}: no such file", features.display())));
            }
            *features = absolute(features)?;
        }
        Ok(())
    }

    /// Real images in a step.
    pub(crate) fn images_per_step(&self) -> usize {
        self.train.images_per_step(self.data.batch_size)
    }

    /// What a checkpoint of this experiment must agree in, by dotted key; the data's fingerprint comes later.
    pub(crate) fn settings(&self) -> Result<BTreeMap<String, String>> {
        let mut settings = BTreeMap::new();
        flatten("", &toml::Value::try_from(self)?, &mut settings);
        let is_free = |key: &str| {
            FREE.iter().any(|free| {
                key.strip_prefix(free).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        settings.retain(|key, _| !is_free(key));
        Ok(settings)
    }
}

/// Takes `--data-dir`, else `GAN_DATA_DIR` where the data set reads a directory and has none.
pub(crate) fn set_data_dir(data: &mut DataConfig, flag: Option<&Path>) -> Result<()> {
    let dir = match (flag, &data.dir, dir_from_environment()) {
        (Some(dir), ..) => dir.to_owned(),
        (None, Some(dir), _) => dir.clone(),
        (None, None, Some(dir)) if data.name.embedded_part_of().is_none() => dir,
        _ => return Ok(()),
    };
    if let Some(whole) = data.name.embedded_part_of().filter(|_| flag.is_some()) {
        tracing::info!("reading {} from {} in place of the embedded digits", whole.title, dir.display());
        data.name = whole;
    }
    data.dir = Some(absolute(&dir)?);
    Ok(())
}

/// `GAN_DATA_DIR`.
pub(crate) fn dir_from_environment() -> Option<PathBuf> {
    std::env::var_os("GAN_DATA_DIR").filter(|dir| !dir.is_empty()).map(Into::into)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| path.display().to_string())
}

/// The text of a built-in configuration.
pub(crate) fn built_in(name: &Path) -> Option<&'static str> {
    BUILT_IN.iter().find(|(n, _)| name == Path::new(n)).map(|(_, text)| *text)
}

fn unreadable(file: &Path, error: &std::io::Error) -> anyhow::Error {
    let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    usage(format!("{}: {error}; the built-in configurations are {}", file.display(), names.join(", ")))
}

/// Sets `a.b.c=value` in a table. A value that is not TOML is taken as a string.
fn apply(table: &mut toml::Table, set: &str) -> Result<()> {
    let (key, value) = set.split_once('=').ok_or_else(|| usage("expected KEY=VALUE"))?;
    let (key, value) = (key.trim(), value.trim());
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
    let value = parsed
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut at = table;
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        let entry = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = entry.as_table_mut().ok_or_else(|| usage(format!("{part} is a value, not a table")))?;
    }
    // Steps and epochs exclude each other: an override of one replaces the other.
    match (parents, last) {
        ("train", "steps") => drop(at.remove("epochs")),
        ("train", "epochs") => drop(at.remove("steps")),
        _ => (),
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

fn flatten(prefix: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, into);
            }
        }
        value => {
            into.insert(prefix.to_owned(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, sets: &[&str]) -> Result<Config> {
        let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
        Config::load(Path::new(name), &sets)
    }

    #[test]
    fn every_built_in_is_valid_and_comes_back_from_its_own_toml() {
        for (name, _) in BUILT_IN {
            let config = load(name, &[]).unwrap();
            let again: Config = toml::from_str(&config.to_toml().unwrap()).unwrap();
            assert_eq!(config, again, "{name}");
        }
        let schedule = "{ to = 0, over-kimg = 9, warm-up-kimg = 1 }";
        let keys =
            ["generator.lr-schedule", "r1.gamma=1", "r1.gamma-schedule", "discriminator.beta2-schedule"];
        let sets = keys.map(|key| match key.split_once('=') {
            Some(_) => format!("train.{key}"),
            None => format!("train.{key}={schedule}"),
        });
        let config = Config::load(Path::new("mnist-5k"), &sets).unwrap();
        assert_eq!(config, toml::from_str(&config.to_toml().unwrap()).unwrap());
        assert_eq!(config.settings().unwrap()["train.r1.gamma-schedule.shape"], "\"cosine\"");
    }

    #[test]
    fn overrides_reach_every_depth_and_type() {
        let config = load(
            "mlp-001",
            &["seed=7", "train.steps = 9", "train.loss=minimax", "train.generator.betas=[0.9, 0.99]"],
        )
        .unwrap();
        assert_eq!((config.seed, config.train.steps, config.train.epochs), (7, Some(9), None));
        assert_eq!(config.train.generator.betas, (0.9, 0.99));
        assert_eq!(config.train.loss, gan_train::Loss::Minimax);
    }

    #[test]
    fn mistakes_name_the_key() {
        for (set, expected) in [
            ("train.generator.lrr=1", "train.generator.lrr: unknown field `lrr`"),
            ("train.generator.lr=fast", "train.generator.lr: invalid type: string \"fast\", expected f64"),
            ("data.batch-size=-1", "data.batch-size: "),
            ("train.loss=wgan", "train.loss: unknown variant `wgan`"),
            ("seed.x=1", "seed is a value, not a table"),
            ("seed", "expected KEY=VALUE"),
            ("train.generator.lr=-1", "train.generator.lr: expected a positive number, found -1"),
        ] {
            let error = format!("{:#}", load("mlp-001", &[set]).unwrap_err());
            assert!(error.contains(expected), "{set}: {error}");
        }
        let error = load("mlp-9", &[]).unwrap_err().to_string();
        assert!(error.contains("mlp-9: ") && error.contains("mlp-001"), "{error}");
    }

    #[test]
    fn a_resume_may_change_the_length_and_nothing_that_matters() {
        let settings = |sets: &[&str]| load("mnist-5k", sets).unwrap().settings().unwrap();
        assert_eq!(settings(&[]), settings(&["train.steps=3", "train.keep=9", "train.log-every=1"]));
        let watched = ["train.health.every=7", "train.health.on-failure=stop", "train.evaluate.every-kimg=5"];
        assert_eq!(settings(&[]), settings(&watched));
        assert_ne!(settings(&[]), settings(&["train.generator.lr=0.5"]));
        assert_ne!(settings(&[]), settings(&["seed=999"]));
    }
}

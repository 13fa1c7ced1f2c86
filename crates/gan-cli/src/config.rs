//! One experiment: a TOML file, the overrides of the command line, and what a resume may not
//! change.

mod checks;
mod every;
mod reporting;
mod table;

pub(crate) use checks::{check_images, check_size};
pub(crate) use every::Every;
pub(crate) use reporting::{HealthConfig, MIN_JUDGED, OnFailure, Reporting};

use crate::exit::usage;
use crate::run_dir;
use anyhow::{Context, Result};
use gan_data::DataConfig;
use gan_files::{FileError, read_at_most};
use gan_models::ModelConfig;
use gan_train::TrainConfig;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A whole configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Determines the initial weights, the noise and the order of the data.
    pub(crate) seed: u64,
    pub(crate) data: DataConfig,
    pub(crate) model: ModelConfig,
    pub(crate) train: TrainConfig,
    /// In a file, these keys are in the table `train`. [`table::split`] takes them out of it.
    #[serde(skip)]
    pub(crate) reporting: Reporting,
}

/// The files of `configs/`. They are compiled in, so that an installed program has them too. This
/// crate has a link to the directory, because its package must contain the files.
pub(crate) const BUILT_IN: [(&str, &str); 17] = [
    ("mnist-5k", include_str!("../configs/mnist-5k.toml")),
    ("mlp-001", include_str!("../configs/mlp-001.toml")),
    ("mlp-001-verbatim", include_str!("../configs/mlp-001-verbatim.toml")),
    ("mlp-002", include_str!("../configs/mlp-002.toml")),
    ("mlp-003", include_str!("../configs/mlp-003.toml")),
    ("dcgan-28", include_str!("../configs/dcgan-28.toml")),
    ("dcgan-64", include_str!("../configs/dcgan-64.toml")),
    ("emoji-64", include_str!("../configs/emoji-64.toml")),
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

impl Config {
    /// Reads `file`, or the built-in configuration with that name. It applies the `KEY=VALUE`
    /// overrides before it checks anything, so that they get the same checks.
    pub(crate) fn load(file: &Path, sets: &[String]) -> Result<Self> {
        // A directory may have the name of a configuration, as those of runs do.
        let text = match built_in(file).filter(|_| !file.is_file()) {
            Some(text) => text.to_owned(),
            None => text(file, bytes(file).map_err(unreadable)?)?,
        };
        let mut table: toml::Table = toml::from_str(&text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            usage(format!("{}: line {line}: {}", file.display(), e.message().replace('\n', ", ")))
        })?;
        for set in sets {
            let shown = || set.chars().take(SHOWN).collect::<String>();
            table::apply(&mut table, set).with_context(|| format!("--set {}", shown()))?;
        }
        let config = Self::read(table).with_context(|| file.display().to_string())?;
        config.validate().with_context(|| file.display().to_string())?;
        Ok(config)
    }

    fn read(mut table: toml::Table) -> Result<Self> {
        let reporting = table::split(&mut table)?;
        let missing = table::missing(&table);
        let config: Self = table::read(table, "").map_err(|error| match missing {
            Some(keys) if error.to_string().contains("missing field") => {
                usage(format!("expected these keys too: {keys}"))
            }
            _ => error,
        })?;
        Ok(Self { reporting: table::read(reporting, "train")?, ..config })
    }

    /// Checks each value separately. [`Self::check`] checks which values fit together, once it is
    /// known which data are read.
    fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.train.validate()?;
        self.reporting.validate()
    }

    /// The file's text with all defaults written out.
    pub(crate) fn to_toml(&self) -> Result<String> {
        let mut table = toml::Table::try_from(self)?;
        table::join(&mut table, toml::Table::try_from(&self.reporting)?);
        Ok(toml::to_string(&table)?)
    }

    /// Makes the paths in the configuration absolute, so that a resume from another working
    /// directory finds the files. These are the files of the data (see [`set_data_dir`]) and of the
    /// classifier.
    pub(crate) fn find_files(&mut self, data_dir: Option<&Path>) -> Result<()> {
        set_data_dir(&mut self.data, data_dir)?;
        if let Some(init) = &mut self.train.init {
            // A resume does not need it, so it may be gone.
            init.from = std::fs::canonicalize(&init.from).unwrap_or_else(|_| init.from.clone());
        }
        if let Some(features) =
            self.reporting.evaluate.as_mut().and_then(|evaluate| evaluate.features.as_mut())
        {
            if crate::judge::is_name(features) {
                return Ok(());
            }
            if !features.exists() {
                return Err(usage(format!("train.evaluate.features: {}: no such file", features.display())));
            }
            *features = absolute(features)?;
        }
        Ok(())
    }

    /// Number of real images in a step.
    pub(crate) fn images_per_step(&self) -> usize {
        self.train.images_per_step(self.data.batch_size)
    }

    /// The settings that a checkpoint of this experiment must have too, by dotted key. The caller
    /// adds the data's fingerprint. A run may continue with another length, with data in another
    /// place, and with another [`Reporting`].
    pub(crate) fn settings(&self) -> Result<BTreeMap<String, String>> {
        let mut fixed = self.clone();
        (fixed.data.dir, fixed.train.steps, fixed.train.epochs) = (None, None, None);
        // A checkpoint has weights of its own.
        fixed.train.init = None;
        Ok(table::flatten(&toml::Table::try_from(&fixed)?))
    }
}

/// All keys of a configuration with their values.
pub(crate) fn flat(config: &Config) -> Result<BTreeMap<String, String>> {
    let mut table = toml::Table::try_from(config)?;
    table::join(&mut table, toml::Table::try_from(&config.reporting)?);
    Ok(table::flatten(&table))
}

/// The first key in which two configurations differ, and its two values.
pub(crate) struct Difference {
    pub(crate) key: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// The first difference of two models. Keys are in alphabetical order.
pub(crate) fn difference(expected: &ModelConfig, found: &ModelConfig) -> Result<Option<Difference>> {
    let values = |model| Ok::<_, anyhow::Error>(table::flatten(&toml::Table::try_from(model)?));
    let differs = first_difference(&values(expected)?, &values(found)?);
    Ok(differs.map(|differs| Difference { key: format!("model.{}", differs.key), ..differs }))
}

/// The first difference of two sets of values by dotted key. Keys are in alphabetical order.
pub(crate) fn first_difference(
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Option<Difference> {
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let key = keys.into_iter().find(|key| expected.get(*key) != found.get(*key))?;
    // A file leaves out the keys that have their default.
    let shown = |value: Option<&String>| value.cloned().unwrap_or_else(|| "the default".to_owned());
    Some(Difference { key: key.clone(), expected: shown(expected.get(key)), found: shown(found.get(key)) })
}

/// What names the directory that [`dir_from_environment`] returns.
pub(crate) const ENVIRONMENT: &str = "GAN_DATA_DIR (--data-dir names another directory)";

/// Sets the data's directory to that of `--data-dir`. Without the option it uses `GAN_DATA_DIR` if
/// the data set reads a directory and has none.
pub(crate) fn set_data_dir(data: &mut DataConfig, flag: Option<&Path>) -> Result<()> {
    let (dir, named_by) = match (flag, &data.dir, dir_from_environment()) {
        (Some(dir), ..) => (dir.to_owned(), "--data-dir"),
        (None, Some(dir), _) => (dir.clone(), "data.dir (--data-dir names another directory)"),
        (None, None, Some(dir)) if data.name.embedded_part_of().is_none() => (dir, ENVIRONMENT),
        (None, None, _) => return Ok(()),
    };
    if let Some(whole) = data.name.embedded_part_of().filter(|_| flag.is_some()) {
        tracing::info!("reading {} from {} in place of the embedded digits", whole.title, dir.display());
        data.name = whole;
    }
    let absolute = std::fs::canonicalize(&dir);
    let at = || format!("{named_by}: {}", dir.display());
    data.dir = Some(match absolute {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(usage(format!("{}: no such file or directory", at())));
        }
        absolute => absolute.with_context(at)?,
    });
    Ok(())
}

/// The value of `GAN_DATA_DIR`, if it is set.
pub(crate) fn dir_from_environment() -> Option<PathBuf> {
    std::env::var_os("GAN_DATA_DIR").filter(|dir| !dir.is_empty()).map(Into::into)
}

/// The largest size of a configuration file. A device such as /dev/zero has no end.
const MAX_BYTES: usize = 1 << 20;
/// Number of characters of an argument that an error repeats.
const SHOWN: usize = 200;
/// Number of letters in which a name may differ from the one that was meant.
const MISSPELT: usize = 2;

fn text(file: &Path, bytes: Vec<u8>) -> Result<String> {
    let problem = |problem: &str| Err(usage(format!("{}: {problem}", file.display())));
    if bytes.len() > MAX_BYTES {
        return problem("expected at most 1 MiB of TOML, found more");
    }
    // With or without a byte order mark, one of the first two bytes says it.
    let is_utf_16 = bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        || (bytes.len() > 1 && bytes[..2].contains(&0));
    if is_utf_16 {
        return problem("is UTF-16 text: save it as UTF-8");
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            problem(&format!("is not UTF-8 text (byte {at}): save it as UTF-8, if it is a configuration"))
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| path.display().to_string())
}

/// The text of a built-in configuration.
pub(crate) fn built_in(name: &Path) -> Option<&'static str> {
    BUILT_IN.iter().find(|(n, _)| name == Path::new(n)).map(|(_, text)| *text)
}

/// The bytes of a configuration. One that a user names may be a pipe of the shell; one in the directory of a
/// run may not, because a pipe there could block for ever.
fn bytes(file: &Path) -> Result<Vec<u8>, FileError> {
    let is_of_run =
        file.parent().is_some_and(|run| run_dir::metrics(run).exists() && run_dir::config(run) == file);
    if is_of_run { gan_files::read(file) } else { read_at_most(file, MAX_BYTES as u64 + 1) }
}

fn unreadable(error: FileError) -> anyhow::Error {
    match error.source.kind() {
        ErrorKind::NotFound | ErrorKind::IsADirectory => {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            let (path, why) = (error.path.display(), &error.source);
            let name = error.path.to_string_lossy();
            let near = names.iter().map(|known| (strsim::damerau_levenshtein(known, &name), known)).min();
            let meant = near.filter(|(distance, _)| *distance <= MISSPELT);
            let meant = meant.map(|(_, known)| format!(" (did you mean {known}?)")).unwrap_or_default();
            usage(format!("{path}: {why}{meant}; the built-in configurations are {}", names.join(", ")))
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, sets: &[&str]) -> Result<Config> {
        let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
        Config::load(Path::new(name), &sets)
    }

    fn reread(config: &Config) -> Config {
        Config::read(toml::from_str(&config.to_toml().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn every_built_in_is_valid_and_comes_back_from_its_own_toml() {
        for (name, _) in BUILT_IN {
            let config = load(name, &[]).unwrap();
            let again = reread(&config);
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
        assert_eq!(config, reread(&config));
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
        let config = load("mlp-001", &["train.generator.betas=[0.8,\n  0.9] # two lines"]).unwrap();
        assert_eq!(config.train.generator.betas, (0.8, 0.9));
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
            (
                "train.log-every=often",
                "train.log-every: invalid type: string \"often\", expected a whole number",
            ),
            (
                "train.evaluate.every-kimg=0.05",
                "train.evaluate.every-kimg: invalid type: floating point `0.05`, expected a whole number",
            ),
            (
                "train.health.on-failure=x",
                "train.health.on-failure: unknown variant `x`, expected one of `warn`",
            ),
            (
                "train.evaluate.evry=1",
                "train.evaluate.evry: unknown field `evry`, expected one of `every-kimg`",
            ),
            ("train.keep=0", "train.keep: expected at least 1, found 0"),
            (
                "seed=9223372036854775808",
                "seed: expected a whole number from -9223372036854775808 to 9223372036854775807, found \
                 9223372036854775808",
            ),
            ("seed=-9223372036854775809", "seed: expected a whole number from "),
            ("train..steps=2", "expected a key such as train.steps, found \"train..steps\""),
            (".seed=2", "expected a key such as train.steps, found \".seed\""),
            ("train.=2", "expected a key such as train.steps, found \"train.\""),
            ("=3", "expected a key such as train.steps, found \"\""),
            ("train.steps=", "train.steps: expected a value, found none"),
            ("data.dir= ", "data.dir: expected a value, found none"),
            ("seed=1\nmodel.latent-dim=2", "seed: expected one value, found several lines"),
            ("seed=1\n[model]\nlatent-dim=2", "seed: expected one value, found several lines"),
            ("data.dir=a\nb", "data.dir: expected a value, found a text with control characters"),
            ("train=1", "train: invalid type: integer `1`, expected struct TrainConfig"),
        ] {
            let error = format!("{:#}", load("mlp-001", &[set]).unwrap_err());
            assert!(error.contains(expected), "{set}: {error}");
        }
        let long = format!("{:#}", load("mlp-001", &[&format!("{}x=1", "x.".repeat(60_000))]).unwrap_err());
        assert!(
            long.contains("expected a key of at most 16 parts, found 60001") && long.len() < 500,
            "{long}"
        );
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
        // Runs that earlier versions wrote have these keys.
        let keys = settings(&["train.epochs=2", "data.dir=x", "train.evaluate.every-kimg=1"]);
        let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
        assert!(keys.contains(&"train.loss") && keys.contains(&"train.r1.gamma"), "{keys:?}");
        let free = ["epochs", "steps", "every", "sample", "keep", "health", "evaluate"];
        let is_free = |key: &str| free.iter().any(|free| key.starts_with(&format!("train.{free}")));
        assert!(!keys.contains(&"data.dir") && !keys.iter().any(|key| is_free(key)), "{keys:?}");
    }
}

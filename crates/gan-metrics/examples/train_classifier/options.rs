//! The command line.

use anyhow::{Context, Result, bail};
use gan_data::Source;
use std::path::PathBuf;

const HELP: &str = "\
Trains the 28x28 classifier whose features the metrics use.

--data-dir DIR   the files of MNIST, or of other gray images with labels, raw or .gz
--out FILE       where the weights go [default: classifier.safetensors]
--data NAME      what the files hold, as data.name in a configuration [default: mnist]
--epochs N       passes over the training images [default: 40]
--seed N         of weights, order and augmentation [default: 0]
";

pub(crate) struct Options {
    pub(crate) data_dir: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) name: Source,
    pub(crate) epochs: u64,
    pub(crate) seed: u64,
}

impl Options {
    /// Returns `None` if the user asked only for help.
    pub(crate) fn parse() -> Result<Option<Self>> {
        let mut args = std::env::args().skip(1);
        let (mut data_dir, mut out, mut name, mut epochs, mut seed) =
            (None, PathBuf::from("classifier.safetensors"), Source::MNIST, 40, 0);
        while let Some(option) = args.next() {
            if option == "--help" || option == "-h" {
                #[expect(clippy::print_stdout, reason = "the help text")]
                {
                    print!("{HELP}");
                }
                return Ok(None);
            }
            let value = args.next().with_context(|| format!("{option}: expected a value\n\n{HELP}"))?;
            let number =
                || value.parse().with_context(|| format!("{option}: expected a whole number, found {value}"));
            match option.as_str() {
                "--data-dir" => data_dir = Some(value.into()),
                "--out" => out = value.into(),
                // Both spellings work, because scripts use the older one.
                "--data" | "--name" => name = value.parse().with_context(|| option.clone())?,
                "--epochs" => epochs = number()?,
                "--seed" => seed = number()?,
                _ => bail!("no option {option}\n\n{HELP}"),
            }
        }
        let data_dir = data_dir.with_context(|| format!("--data-dir is missing\n\n{HELP}"))?;
        if epochs == 0 {
            bail!("--epochs: expected at least 1, found 0");
        }
        Ok(Some(Self { data_dir, out, name, epochs, seed }))
    }
}

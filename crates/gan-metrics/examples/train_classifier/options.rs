//! The command line.

use anyhow::{Context, Result, bail};
use gan_data::mnist::Name;
use std::path::PathBuf;

const HELP: &str = "\
Trains the 28x28 classifier whose features the metrics use.

--data-dir DIR   IDX files of MNIST, or of data in its format, raw or .gz
--out FILE       where the weights go [default: classifier.safetensors]
--name NAME      mnist or fashion-mnist: what the files hold [default: mnist]
--epochs N       passes over the training images [default: 40]
--seed N         of weights, order and augmentation [default: 0]
";

pub(crate) struct Options {
    pub(crate) data_dir: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) name: Name,
    pub(crate) epochs: u64,
    pub(crate) seed: u64,
}

impl Options {
    /// None where only help was asked for.
    pub(crate) fn parse() -> Result<Option<Self>> {
        let mut args = std::env::args().skip(1);
        let (mut data_dir, mut out, mut name, mut epochs, mut seed) =
            (None, PathBuf::from("classifier.safetensors"), Name::Mnist, 40, 0);
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
                "--name" if value == "mnist" => name = Name::Mnist,
                "--name" if value == "fashion-mnist" => name = Name::FashionMnist,
                "--name" => bail!("--name: expected mnist or fashion-mnist, found {value}"),
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

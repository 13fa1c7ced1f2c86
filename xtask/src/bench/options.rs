//! The arguments after `cargo xtask bench`.

use anyhow::{Context, Result, bail};

/// What to time.
#[derive(Debug)]
pub(super) struct Options {
    /// The Python to compare with.
    pub(super) peer: Option<String>,
    pub(super) rounds: u32,
    /// Number of timed steps. Without it, each workload has its own number.
    pub(super) steps: Option<u32>,
    pub(super) json: bool,
    pub(super) workloads: Vec<&'static Workload>,
}

/// A configuration that gan-cli and its peers both know.
#[derive(Debug, PartialEq)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// The configuration for gan-cli. The peers use the same network.
    pub(super) config: &'static str,
    /// The objective's name for the peers, and the changes to the configuration for gan-cli.
    pub(super) objective: Option<(&'static str, &'static [&'static str])>,
    /// Number of timed steps. They take some seconds.
    pub(super) steps: u32,
    /// Whether sampling is compared. 10,000 large images would take longer than all other
    /// measurements.
    pub(super) sampled: bool,
}

const WORKLOADS: [Workload; 5] = [
    plain("mlp-001", 300, true),
    plain("dcgan-28", 50, true),
    plain("dcgan-64", 10, false),
    with_penalty(
        "wgan-gp",
        &["model.discriminator.norm=none", "train.loss=wasserstein", "train.gradient-penalty.weight=10"],
    ),
    with_penalty(
        "rpgan-r1-r2",
        &["model.discriminator.norm=none", "train.loss=relativistic", "train.r1.gamma=1", "train.r2.gamma=1"],
    ),
];

const fn plain(name: &'static str, steps: u32, sampled: bool) -> Workload {
    Workload { name, config: name, objective: None, steps, sampled }
}

/// dcgan-28 with an objective that has a penalty on the gradient of D.
const fn with_penalty(objective: &'static str, sets: &'static [&'static str]) -> Workload {
    Workload {
        name: objective,
        config: "dcgan-28",
        objective: Some((objective, sets)),
        steps: 50,
        sampled: false,
    }
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { peer: None, rounds: 5, steps: None, json: false, workloads: vec![] };
        let mut args = args.iter().map(String::as_str).peekable();
        while let Some(arg) = args.next() {
            match arg {
                "--json" => options.json = true,
                "--rounds" => options.rounds = positive(arg, args.next())?,
                "--steps" => options.steps = Some(positive(arg, args.next())?),
                "--peer" => {
                    // The Python is optional. An argument is a Python if it is neither an option
                    // nor a workload.
                    let python = args.next_if(|next| !next.starts_with('-') && workload(next).is_none());
                    options.peer = Some(python.unwrap_or("python3").to_owned());
                }
                name => match workload(name) {
                    Some(workload) => options.workloads.push(workload),
                    None if name.starts_with('-') => bail!("bench: no option {name} (cargo xtask help)"),
                    None => bail!("bench: expected {}, found {name}", names().join(", ")),
                },
            }
        }
        if options.workloads.is_empty() {
            options.workloads.extend(&WORKLOADS);
        }
        Ok(options)
    }
}

fn workload(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

fn names() -> [&'static str; 5] {
    WORKLOADS.each_ref().map(|workload| workload.name)
}

fn positive(option: &str, value: Option<&str>) -> Result<u32> {
    let value = value.with_context(|| format!("bench: {option} needs a number"))?;
    value
        .parse()
        .ok()
        .filter(|&n| n > 0)
        .with_context(|| format!("bench: {option}: expected a number from 1, found {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Options> {
        Options::parse(&args.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    fn chosen(options: &Options) -> Vec<&str> {
        options.workloads.iter().map(|workload| workload.name).collect()
    }

    #[test]
    fn without_arguments_everything_is_timed_alone() {
        let options = parse("").unwrap();
        assert_eq!(chosen(&options), names());
        assert_eq!((options.peer, options.rounds, options.steps, options.json), (None, 5, None, false));
    }

    #[test]
    fn the_python_may_be_left_out() {
        for (args, python) in [
            ("--peer mlp-001", "python3"),
            ("mlp-001 --peer", "python3"),
            ("--peer --steps 3 mlp-001", "python3"),
            ("--peer venv/bin/python mlp-001", "venv/bin/python"),
        ] {
            let options = parse(args).unwrap();
            assert_eq!(options.peer.as_deref(), Some(python), "{args}");
            assert_eq!(chosen(&options), ["mlp-001"], "{args}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (args, expected) in [
            ("--fast", "no option --fast"),
            ("mlp-9", "expected mlp-001, dcgan-28, dcgan-64, wgan-gp, rpgan-r1-r2, found mlp-9"),
            ("--rounds", "--rounds needs a number"),
            ("--steps 0", "--steps: expected a number from 1, found 0"),
            ("--steps -3", "found -3"),
        ] {
            let error = parse(args).unwrap_err().to_string();
            assert!(error.contains(expected), "{args}: {error}");
        }
    }
}

//! Reads the command line. Its errors help people who expect the options of other programs.

use super::Args;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::io::Write as _;
use std::ops::RangeInclusive;

/// Options that people expect of `train`, and what to write in their place.
const KEYS: [(&[&str], &str); 11] = [
    (&["--epochs"], "train.epochs=5"),
    (&["--steps", "--iterations", "--iters"], "train.steps=2000"),
    (&["--seed"], "seed=1"),
    (&["--lr", "--learning-rate"], "train.generator.lr=1e-3"),
    (&["--batch-size", "--batch"], "data.batch-size=64"),
    (&["--limit"], "data.limit=1000"),
    (&["--data", "--name", "--dataset"], "data.name=folder"),
    (&["--size", "--image-size"], "model.image-size=64"),
    (&["--channels"], "model.channels=3"),
    (&["--latent-dim", "--nz"], "model.latent-dim=64"),
    (&["--loss"], "train.loss=hinge"),
];

impl Args {
    /// The arguments of the process. It ends the process after an error, and for `--help`.
    pub(crate) fn of_process() -> Self {
        let read = || Self::from_arg_matches(&with_negative_numbers(Self::command()).try_get_matches()?);
        read().map_err(helpful).unwrap_or_else(|error| end(&error))
    }
}

/// Prints an error, or the help or version that was asked for, and ends the process.
fn end(error: &clap::Error) -> ! {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    if let Err(problem) = printed
        && !error.use_stderr()
        && problem.kind() != std::io::ErrorKind::BrokenPipe
    {
        clap::Error::raw(ErrorKind::Io, format!("standard output: {problem}\n")).exit()
    }
    std::process::exit(error.exit_code())
}

/// Takes `-1` as the value of an option, so that the option can say what it expects.
fn with_negative_numbers(command: Command) -> Command {
    let takes_values = |arg: &Arg| arg.get_long().is_some() && arg.get_action().takes_values();
    let command =
        command.mut_args(|arg| if takes_values(&arg) { arg.allow_negative_numbers(true) } else { arg });
    command.mut_subcommands(with_negative_numbers)
}

/// Adds which key of the configuration an unknown option stands for, and how else `evaluate` is used.
fn helpful(mut error: clap::Error) -> clap::Error {
    let all = Args::command();
    let is_name = |arg: &OsString| all.get_subcommands().any(|command| *arg == *command.get_name());
    // The iterator over texts would panic where an argument is no Unicode.
    let command = std::env::args_os().skip(1).find(is_name);
    let is_command = |name: &str| command.as_ref().is_some_and(|command| *command == *name);
    if is_command("evaluate") && error.kind() == ErrorKind::MissingRequiredArgument {
        let tip = "images of another program: --samples PATH".into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        return error;
    }
    let is_train = is_command("train");
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) if is_train && error.kind() == ErrorKind::UnknownArgument => {
            option
        }
        _ => return error,
    };
    if let Some((_, key)) = KEYS.iter().find(|(options, _)| options.contains(&option.as_str())) {
        let (key, usual) = key.split_once('=').unwrap_or((key, ""));
        let value = value_of(option).unwrap_or_else(|| usual.to_owned());
        let tip = format!("the configuration has a key for it: --set {key}={value}");
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// What the command line gives to an unknown option: `--steps 5` or `--steps=5`. Only a plain value, as one
/// that needs quotes could be read in another way.
fn value_of(option: &str) -> Option<String> {
    let args: Vec<String> = std::env::args_os().filter_map(|arg| arg.into_string().ok()).collect();
    let at = args.iter().position(|arg| arg.split('=').next() == Some(option))?;
    let value = match args[at].split_once('=') {
        Some((_, value)) => value,
        None => args.get(at + 1)?,
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    (!value.is_empty() && !value.starts_with("--") && value.chars().all(is_plain)).then(|| value.to_owned())
}

/// A parser of whole numbers in a range.
pub(super) fn whole<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            let is_large = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() && text != "0";
            if *most == u64::from(u32::MAX) && !is_large {
                format!("expected a whole number of at least {least}")
            } else {
                format!("expected a whole number from {least} to {most}")
            }
        })
    }
}

/// The parser of seeds.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    whole(0..=u64::MAX)(text)
}

/// The parser of numbers of images.
pub(super) fn count(text: &str) -> Result<u32, String> {
    whole(1..=u32::MAX.into())(text)
}

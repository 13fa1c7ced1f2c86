//! The commands, one module each.

pub(crate) mod bench;
#[cfg(feature = "board")]
pub(crate) mod board;
pub(crate) mod data;
pub(crate) mod diagnose;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod inspect;
pub(crate) mod manual;
pub(crate) mod output;
pub(crate) mod project;
pub(crate) mod report;
pub(crate) mod sample;
pub(crate) mod timelapse;
pub(crate) mod train;
pub(crate) mod train_classifier;
pub(crate) mod walk;

use crate::exit::usage;
use crate::run_dir;
use anyhow::Result;
use std::borrow::Cow;
use std::path::Path;

/// Refuses an input of the command line that is not there.
fn check_exists(path: &Path) -> Result<()> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(usage(format!("{}: no such file or directory", path.display()))),
        Err(error) => Err(usage(format!("{}: {error}", path.display()))),
    }
}

/// The same for the value of an option.
fn check_option(option: &str, path: &Path) -> Result<()> {
    check_exists(path).map_err(|error| usage(format!("{option}: {error}")))
}

/// The name by which the user called this program, so that hints can be pasted. `cargo xtask`
/// passes its own name.
fn program() -> Cow<'static, str> {
    std::env::var("GAN_PROGRAM").map_or(Cow::Borrowed("gan-cli"), Cow::Owned)
}

/// The path as a shell takes it, so that hints can be pasted.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain =
        |c: char| c.is_alphanumeric() || "/._-+,@%".contains(c) || (cfg!(windows) && "\\:".contains(c));
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Refuses a place among the data, where a picture could be replaced, or a new one be trained on.
fn check_outside(data: &Path, out: &Path) -> Result<()> {
    // The file at the place may be a link to somewhere else.
    let places = [out.canonicalize().ok(), run_dir::resolved(output::parent(out)), run_dir::resolved(out)];
    if let Ok(data) = data.canonicalize()
        && data.is_dir()
        && places.iter().flatten().any(|place| place.starts_with(&data))
    {
        let out = out.display();
        return Err(usage(format!(
            "--out {out} is among the data: choose a place outside of their directory"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_can_be_pasted() {
        for (path, expected) in [
            ("runs/a-2", "runs/a-2"),
            ("my runs/a", "'my runs/a'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }
}

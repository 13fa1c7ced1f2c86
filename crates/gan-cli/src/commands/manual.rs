//! `gan-cli completions` and `gan-cli man`.

use super::output::{self, Place};
use crate::args::{self, Args};
use crate::exit::{End, usage};
use crate::run_dir;
use crate::signals::Stop;
use crate::terminal;
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;

const NAME: &str = "gan-cli";

pub(crate) fn completions(args: &args::Completions) -> Result<End> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Args::command(), NAME, &mut script);
    terminal::print(&String::from_utf8(script)?)?;
    Ok(End::Done)
}

pub(crate) fn man(args: &args::Manual) -> Result<End> {
    let mut all = Args::command();
    all.build();
    let Some(out) = &args.out else {
        terminal::print(&String::from_utf8(page(all)?)?)?;
        return Ok(End::Done);
    };
    if out.is_file() {
        return Err(usage(format!("--out: expected a directory, found the file {}", out.display())));
    }
    run_dir::check_link(out)?;
    let stop = Stop::on_signals()?;
    let pages: Vec<(String, Command)> = with_those_below(all)
        .into_iter()
        .map(|command| (format!("{}.1", command.get_display_name().unwrap_or(NAME)), command))
        .collect();
    let mut old = vec![];
    for (name, _) in &pages {
        let place = Place::new(out.join(name));
        place.protect(&[])?;
        place.protect_foreign(&[".TH gan-cli"])?;
        if place.path().exists() {
            old.push(name.into());
        }
    }
    output::fill_with_files(out, &stop, &old, |directory| {
        let write = |(name, command): (String, Command)| {
            stop.check()?;
            let file = directory.join(&name);
            std::fs::write(&file, page(command)?).with_context(|| file.display().to_string())?;
            Ok(name)
        };
        pages.into_iter().map(write).collect()
    })?;
    tracing::info!("the pages of the manual are in {}", out.display());
    Ok(End::Done)
}

/// A command, its commands, and theirs.
fn with_those_below(command: Command) -> Vec<Command> {
    let below: Vec<Command> =
        command.get_subcommands().filter(|below| below.get_name() != "help").cloned().collect();
    std::iter::once(command).chain(below.into_iter().flat_map(with_those_below)).collect()
}

fn page(command: Command) -> Result<Vec<u8>> {
    let mut page = vec![];
    Man::new(command).render(&mut page)?;
    Ok(page)
}

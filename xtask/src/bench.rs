//! Measures how fast training and sampling are on this machine, alone or compared with other
//! programs.

mod compare;
mod options;
mod program;
mod table;

use anyhow::Result;
use options::{Options, Workload};
use program::GanCli;
use serde_json::{Value, json};
use xshell::Shell;

/// The batch size of every workload and program.
const BATCH: &str = "64";

pub(crate) fn run(shell: &Shell, root: &str, args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let peers = match &options.peer {
        // This fails before minutes of timing, not after them.
        Some(python) => compare::peers(python, root)?,
        None => vec![],
    };
    let gan_cli = program::build(root)?;
    let alone = alone(&gan_cli, &options)?;
    if !options.json {
        print(&table::alone(&alone)?);
    }
    let rows = if peers.is_empty() { vec![] } else { compare::run(shell, &gan_cli, &peers, &options)? };
    if options.json {
        let rows: Vec<Value> = rows.iter().map(compare::Row::to_json).collect();
        print(&format!("{}\n", json!({ "gan-cli": alone, "peers": rows })));
    } else if !rows.is_empty() {
        print(&table::compared(&rows, options.rounds)?);
    }
    Ok(())
}

/// The reports of gan-cli: each workload on one thread and on all threads.
fn alone(gan_cli: &GanCli, options: &Options) -> Result<Vec<Value>> {
    let mut reports = vec![];
    for workload in &options.workloads {
        progress(&format!("{}: 1 thread", workload.name));
        reports.push(gan_cli.bench(workload, options.steps, &["--threads", "1"])?);
        progress(&format!("{}: all threads", workload.name));
        let all = gan_cli.bench(workload, options.steps, &[])?;
        // On one core, this report would repeat the first one.
        if all["threads"] != 1 {
            reports.push(all);
        }
    }
    Ok(reports)
}

fn number(report: &Value, key: &str) -> Option<f64> {
    report[key].as_f64()
}

fn progress(text: &str) {
    #[expect(clippy::print_stderr, reason = "a sign of life in minutes of work")]
    {
        eprintln!("{text}");
    }
}

fn print(text: &str) {
    #[expect(clippy::print_stdout, reason = "the result of the command")]
    {
        print!("{text}");
    }
}

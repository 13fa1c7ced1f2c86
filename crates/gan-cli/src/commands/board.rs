//! `gan-cli board`.

use crate::args;
use crate::board;
use crate::exit::End;
use crate::memory::Budget;
use anyhow::Result;

pub(crate) fn run(args: &args::Board, budget: Budget) -> Result<End> {
    board::serve(args, budget)?;
    Ok(End::Done)
}

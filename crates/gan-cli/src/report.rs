//! What runs have written, for people: one HTML file without a network, and a table on the terminal.

mod chart;
mod charts;
mod page;
mod record;
mod rows;

pub(crate) use page::{Parts, html};
#[cfg(feature = "board")]
pub(crate) use page::{address, grid_address};
pub(crate) use record::{Record, differences, read_all};
pub(crate) use rows::{COLUMNS, Row, cells, evaluation_rows, found};

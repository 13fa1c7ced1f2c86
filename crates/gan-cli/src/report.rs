//! What runs have written, for people: one HTML file without a network, and a table on the terminal.

mod chart;
mod page;
mod record;
mod rows;

#[cfg(feature = "board")]
pub(crate) use page::address;
pub(crate) use page::{Parts, html};
pub(crate) use record::{Record, differences, read_all};
pub(crate) use rows::{COLUMNS, Row, cells, evaluation_rows, found};

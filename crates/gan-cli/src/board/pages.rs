//! The pages: all runs, reports about some of them, and the explorer. Pictures of grids belong to them.

use super::Board;
use super::files::PNG;
use super::problem::Problem;
use super::runs::read_own;
use crate::records::RollbackLine;
use crate::report::{Parts, Record, address, cells, found, grid_address, html};
use crate::terminal;
use anyhow::Result;
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Largest picture of a grid that is served.
const PICTURE: u64 = 64 << 20;
/// Number of runs in one report.
const COMPARED: usize = 20;

#[derive(Template)]
#[template(path = "board/runs.html")]
struct RunsPage {
    runs: Vec<Card>,
    places: String,
}

#[derive(Template)]
#[template(path = "board/explore.html")]
struct ExplorePage {
    name: String,
    encoded_name: String,
}

#[derive(Template)]
#[template(path = "board/problem.html")]
struct ProblemPage {
    message: String,
}

/// A problem as a page, with a way back.
pub(super) struct Unpaged(Problem);

impl From<Problem> for Unpaged {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Unpaged {
    fn into_response(self) -> Response {
        match (ProblemPage { message: self.0.message().to_owned() }).render() {
            Ok(page) => (self.0.status(), Html(page)).into_response(),
            Err(_) => self.0.into_response(),
        }
    }
}

/// A run in the list.
struct Card {
    name: String,
    encoded_name: String,
    /// Why the run cannot be read. Then the rest is empty.
    problem: String,
    thumbnail: Option<String>,
    state: &'static str,
    class: &'static str,
    time: String,
    about: String,
    numbers: String,
    verdicts: Vec<String>,
    /// What was found besides.
    notes: Vec<String>,
}

/// How many runs there are, for the terminal.
pub(super) fn counted(board: &Board) -> String {
    terminal::counted(board.runs.all().len(), "run")
}

pub(super) async fn runs(State(board): State<Arc<Board>>) -> Result<Response, Unpaged> {
    let page = board.compute(|board| {
        let mut runs: Vec<_> =
            board.runs.all().into_iter().map(|(name, path)| card(board, name, &path)).collect();
        // The one that was written last is the first.
        runs.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
        let runs = runs.into_iter().map(|(_, card)| card).collect();
        rendered(&RunsPage { runs, places: board.runs.places() })
    });
    Ok(Html(page.await?).into_response())
}

fn rendered(page: &impl Template) -> Result<String, Problem> {
    page.render().map_err(|error| Problem::internal(&error))
}

/// The card of a run, and when the run was written.
fn card(board: &Board, name: String, path: &Path) -> (Option<SystemTime>, Card) {
    let written = super::runs::stamp(&crate::run_dir::metrics(path)).1;
    let encoded_name = address(&name);
    let mut card = Card {
        problem: String::new(),
        thumbnail: None,
        state: "",
        class: "",
        time: String::new(),
        about: String::new(),
        numbers: String::new(),
        verdicts: vec![],
        notes: vec![],
        name,
        encoded_name,
    };
    match board.runs.record(&card.name, path) {
        Ok(record) => fill(&mut card, &record),
        Err(error) => card.problem = crate::exit::message(&error),
    }
    (written, card)
}

fn fill(card: &mut Card, record: &Record) {
    let (done, all) = record.steps;
    (card.state, card.class) = if record.is_training {
        ("training", "training")
    } else if record.stopped.is_some() {
        ("stopped by a verdict", "failing")
    } else if all.is_some_and(|all| done >= all && record.saved >= all) {
        ("finished", "finished")
    } else {
        ("not training", "stopped")
    };
    let [data, networks, loss, steps, time, _, distance] = cells(record);
    card.thumbnail = record.grids.last().map(|(step, path)| grid_address(&card.encoded_name, *step, path));
    card.time = format!("{steps} steps in {time}");
    card.about = format!("{networks}, {loss}, on {data}");
    card.numbers = distance;
    let verdict = |verdict: &gan_metrics::health::Verdict| {
        format!("{} since step {}", verdict.failure.name(), verdict.since)
    };
    card.verdicts = record.verdicts.iter().map(verdict).collect();
    if record.doubt.is_some() {
        card.verdicts.push("no verdict, but nothing learned yet".to_owned());
    } else if record.verdicts.is_empty() {
        card.notes.push(format!("verdicts: {}", found(record)));
    }
    if !record.verdicts.is_empty() || record.doubt.is_some() {
        card.notes.extend(record.went_back.as_ref().map(RollbackLine::said));
    }
}

/// The values of a key in the address.
fn values(query: Option<&str>, key: &str) -> Vec<String> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.filter(|(name, _)| name == key).map(|(_, value)| value.into_owned()).collect()
}

pub(super) async fn report(
    State(board): State<Arc<Board>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Unpaged> {
    let names = values(query.as_deref(), "run");
    if !(1..=COMPARED).contains(&names.len()) {
        return Err(Problem::bad(format!("Choose from 1 to {COMPARED} runs in the list.")).into());
    }
    let is_renewal = !values(query.as_deref(), "renew").is_empty();
    let parts = if is_renewal { Parts::Renewed } else { Parts::Served };
    let page = board.compute(move |board| {
        let read = |name: &String| Ok(board.runs.record(name, &board.runs.path(name)?)?);
        let records = names.iter().map(read).collect::<Result<Vec<_>, Problem>>()?;
        let records: Vec<&Record> = records.iter().map(|record| &**record).collect();
        Ok(html(&records, parts)?)
    });
    Ok(Html(page.await?).into_response())
}

pub(super) async fn explore(
    State(board): State<Arc<Board>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Unpaged> {
    let name = values(query.as_deref(), "run").pop().ok_or_else(|| Problem::bad("expected ?run=NAME"))?;
    let page = board.compute(move |board| {
        board.runs.path(&name)?;
        rendered(&ExplorePage { encoded_name: address(&name), name })
    });
    Ok(Html(page.await?).into_response())
}

/// A grid as the run wrote it.
pub(super) async fn grid(
    State(board): State<Arc<Board>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let [name, step] = ["run", "step"].map(|key| values(query.as_deref(), key).pop());
    let (Some(name), Some(step)) = (name, step.and_then(|step| step.parse::<u64>().ok())) else {
        return Err(Problem::bad("expected ?run=NAME&step=N"));
    };
    let png = board.compute(move |board| {
        let run = board.runs.path(&name)?;
        read_own(&run, &crate::run_dir::samples(&run, step), PICTURE)
    });
    // The address has the step and the time of writing.
    let kept = axum::http::HeaderValue::from_static("max-age=600");
    Ok(([(CONTENT_TYPE, PNG), (CACHE_CONTROL, kept)], png.await?).into_response())
}

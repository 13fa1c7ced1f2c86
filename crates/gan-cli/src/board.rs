//! A served page about runs, which grows while they train, and an explorer of what a generator draws.
//!
//! Every request only reads. Pages and answers are computed on a few threads beside the one that serves.

mod connections;
mod copies;
mod events;
mod explorer;
mod files;
mod guard;
mod pages;
mod problem;
mod runs;
mod view;

use crate::args;
use crate::exit::usage;
use crate::memory::Budget;
use crate::signals::Stop;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use explorer::Explorer;
use guard::Hosts;
use problem::Problem;
use runs::Runs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast};

/// Bytes of a request's body, at most. A view of 256 images is shorter.
const BODY: usize = 64 << 10;
/// Number of computations at the same time, and of those that wait for one of them.
const WORKERS: usize = 2;
const WAITING: usize = 64;
/// Time for a request, without the time to send its answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// Number of pages that follow the runs live.
const FOLLOWERS: usize = 64;

/// What all requests share.
struct Board {
    runs: Runs,
    explorer: Explorer,
    hosts: Hosts,
    /// Permits to wait for a computation, and to compute.
    waiting: Arc<Semaphore>,
    working: Arc<Semaphore>,
    /// Names of runs whose files have changed.
    changes: broadcast::Sender<String>,
    followers: Arc<Semaphore>,
}

impl Board {
    /// Computes an answer beside the thread that serves.
    async fn compute<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| Problem::busy())?;
        let worker = Arc::clone(&self.working).acquire_owned().await.map_err(|_| Problem::busy())?;
        // Work that nobody waits for any more goes on, so it keeps its permits.
        let work = move || {
            let _permits = (place, worker);
            work(&self)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer,
            Err(error) => Err(Problem::internal(&error)),
        }
    }
}

/// Serves until a signal.
pub(crate) fn serve(args: &args::Board, budget: Budget) -> Result<()> {
    for directory in &args.directories {
        if !directory.is_dir() {
            return Err(usage(format!("{}: expected a directory of runs, or a run", directory.display())));
        }
    }
    let stop = Stop::on_signals()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2 * WORKERS)
        .build()
        .context("the server's threads")?;
    let served = runtime.block_on(async {
        let address = SocketAddr::new(args.host, args.port);
        let listener = TcpListener::bind(address).await.map_err(|error| {
            usage(format!("cannot listen at {address}: {error}; --port 0 takes any port that is free"))
        })?;
        let address = listener.local_addr()?;
        let board = Arc::new(Board {
            runs: Runs::of(&args.directories),
            explorer: Explorer::new(budget),
            hosts: Hosts::new(&args.allow_host),
            waiting: Arc::new(Semaphore::new(WAITING)),
            working: Arc::new(Semaphore::new(WORKERS)),
            changes: broadcast::channel(256).0,
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
        });
        if !args.host.is_loopback() {
            tracing::warn!("whoever can reach {address} can see these runs: there is no password");
        }
        tracing::info!("serving {} at http://{address}/ until Ctrl-C", pages::counted(&board));
        tokio::spawn(events::watch(Arc::clone(&board)));
        connections::accept(listener, router(board), &stop).await;
        Ok(())
    });
    // An answer that is being computed is not waited for.
    runtime.shutdown_background();
    served
}

fn router(board: Arc<Board>) -> Router {
    let limited = Router::new()
        .route("/", get(pages::runs))
        .route("/report", get(pages::report))
        .route("/explore", get(pages::explore))
        .route("/grid", get(pages::grid))
        .route("/assets/{name}", get(files::asset))
        .route("/api/generators", get(explorer::generators))
        .route("/api/draw", post(explorer::draw))
        .route("/api/nearest", post(explorer::nearest))
        .route("/draw.png", get(explorer::png))
        .route("/latents.npy", get(explorer::npy))
        .layer(middleware::from_fn(guard::in_time))
        .layer(DefaultBodyLimit::max(BODY));
    let all = limited.route("/events", get(events::follow)).fallback(files::missing);
    let checked = middleware::from_fn_with_state(Arc::clone(&board), guard::check);
    all.layer(checked).with_state(board)
}

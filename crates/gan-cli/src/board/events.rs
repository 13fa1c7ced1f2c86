//! News of runs, as server-sent events: the name of a run whose files have changed.

use super::Board;
use super::problem::Problem;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the files while a page is open, and says which runs have changed.
pub(super) async fn watch(board: Arc<Board>) {
    let mut seen = HashMap::new();
    loop {
        tokio::time::sleep(LOOK).await;
        if board.changes.receiver_count() == 0 {
            continue;
        }
        let Ok(now) = Arc::clone(&board).compute(|board| Ok(board.runs.stamps())).await else { continue };
        for (name, stamp) in &now {
            if seen.get(name) != Some(stamp) {
                // Without a page nobody hears it.
                let _ = board.changes.send(name.clone());
            }
        }
        if seen.keys().any(|name| !now.contains_key(name)) {
            let _ = board.changes.send(String::new());
        }
        seen = now;
    }
}

/// The events for one page.
pub(super) async fn follow(
    State(board): State<Arc<Board>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = Arc::clone(&board.followers).try_acquire_owned().map_err(|_| Problem::busy())?;
    let changes = board.changes.subscribe();
    let next = |(mut changes, place): (tokio::sync::broadcast::Receiver<String>, _)| async move {
        let name = match changes.recv().await {
            Ok(name) => name,
            // A slow page has missed some names.
            Err(RecvError::Lagged(_)) => String::new(),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(Event::default().event("changed").data(name)), (changes, place)))
    };
    Ok(Sse::new(stream::unfold((changes, place), next)).keep_alive(KeepAlive::default()))
}

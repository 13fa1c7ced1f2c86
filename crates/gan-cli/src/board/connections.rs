//! Connections: how many there are, and how long a silent one lasts.

use crate::signals::Stop;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Number of open connections. Others wait until one is closed.
const CONNECTIONS: usize = 256;
/// Time for the head of a request, and between two requests of one connection.
const SILENCE: Duration = Duration::from_secs(10);
/// Bytes of the head of a request, at most. The view of a download is in its address.
const HEAD: usize = 64 << 10;
/// Time between two looks for a signal.
const LOOK: Duration = Duration::from_millis(100);

/// Answers requests until a signal.
pub(super) async fn accept(listener: TcpListener, router: Router, stop: &Stop) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(SILENCE).max_buf_size(HEAD);
    while stop.check().is_ok() {
        let Ok(Ok(place)) = tokio::time::timeout(LOOK, Arc::clone(&free).acquire_owned()).await else {
            continue;
        };
        let stream = match tokio::time::timeout(LOOK, listener.accept()).await {
            Ok(Ok((stream, _))) => stream,
            // No signal and no visitor; or too many open files, and some may be closed soon.
            Err(_) => continue,
            Ok(Err(error)) => {
                tracing::debug!("a connection failed: {error}");
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = server.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // Visitors who send no HTTP, or go away, are no news.
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
            drop(place);
        });
    }
}

//! Downloads a file whose hash is known.

use crate::logging::BARS;
use crate::terminal;
use anyhow::{Context, Result, anyhow, bail};
use gan_files::{sha256, write_atomically};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::io::Read;
use std::path::Path;

/// A file on the web.
pub(super) struct Remote<'a> {
    pub(super) address: String,
    pub(super) sha256: &'a str,
    /// The size of the file.
    pub(super) bytes: u64,
}

impl Remote<'_> {
    /// Downloads the file to `path`. The directory is created if it is missing.
    ///
    /// # Errors
    /// No network; an answer that is not the file; a `path` that cannot be written. Then there is no
    /// file at `path`.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let Self { address, bytes, .. } = self;
        tracing::info!("downloading {address} ({} MB) to {}", bytes / 1_000_000, terminal::name(path));
        // In memory, so that an interrupted download leaves nothing on the disk.
        let content = self.read().map_err(|error| anyhow!("{address}: {}", first(&*error)))?;
        let found = sha256(&[&content]);
        if found != self.sha256 {
            bail!(
                "{address}: expected a file with SHA-256 {}, found {} with {found}",
                self.sha256,
                terminal::counted(content.len(), "byte")
            );
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        }
        Ok(write_atomically(path, &content)?)
    }

    /// Reads the file, and at most one byte more.
    fn read(&self) -> Result<Vec<u8>> {
        let agent = concat!("gan-cli/", env!("CARGO_PKG_VERSION"));
        // The client gives up if nothing arrives for 30 seconds.
        let client = reqwest::blocking::Client::builder().user_agent(agent).build()?;
        let answer =
            client.get(&self.address).send()?.error_for_status().map_err(reqwest::Error::without_url)?;
        let (bar, mut content) = (self.bar(), Vec::with_capacity(self.bytes as usize));
        let read = bar.wrap_read(answer.take(self.bytes + 1)).read_to_end(&mut content);
        bar.finish_and_clear();
        read?;
        Ok(content)
    }

    fn bar(&self) -> ProgressBar {
        if !terminal::can_move_the_cursor() || !tracing::enabled!(tracing::Level::INFO) {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes}  {eta} left");
        let bar = ProgressBar::new(self.bytes);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        BARS.add(bar)
    }
}

/// The first cause of an error of the HTTP client. The texts around it say only that something
/// failed.
fn first<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    const CONTENT: &str = "the weights";

    /// Downloads from a server that gives `answer` to one request. Returns the error, if there is
    /// one, and the names of the files that the download left.
    fn download(answer: String) -> (Option<String>, Vec<String>) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let result = from(port);
        serving.join().unwrap();
        result
    }

    fn from(port: u16) -> (Option<String>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("hub/checkpoints");
        let (address, sha256) = (format!("http://127.0.0.1:{port}/a.pth"), sha256(&[CONTENT.as_bytes()]));
        let remote = Remote { address, sha256: &sha256, bytes: CONTENT.len() as u64 };
        let error = remote.save(&cache.join("a.pth")).err();
        if error.is_none() {
            assert_eq!(std::fs::read_to_string(cache.join("a.pth")).unwrap(), CONTENT);
        }
        let left = gan_files::entries(&cache).unwrap_or_default().into_iter();
        let left = left.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        (error.map(|error| crate::exit::message(&error)), left)
    }

    fn answer(status: &str, length: usize, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }

    #[test]
    fn the_file_is_there_as_a_whole_or_not_at_all() {
        assert_eq!(download(answer("200 OK", 11, CONTENT)), (None, vec!["a.pth".to_owned()]));
        let long = CONTENT.repeat(2);
        for (answer, expected) in [
            (answer("200 OK", 11, "the weighty"), "found 11 bytes with"),
            (answer("200 OK", 22, &long), "found 12 bytes with"),
            (answer("200 OK", 11, "the we"), "end of file before message length reached"),
            (answer("404 Not Found", 0, ""), "404 Not Found"),
        ] {
            let (error, left) = download(answer);
            let error = error.unwrap();
            assert!(error.starts_with("http://127.0.0.1:") && error.contains("/a.pth: "), "{error}");
            assert!(error.contains(expected) && !error.contains('\n') && left.is_empty(), "{error} {left:?}");
        }
    }

    #[test]
    fn no_network_is_one_error() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (error, left) = from(unused);
        let error = error.unwrap();
        assert!(error.contains("/a.pth: Connection refused") && left.is_empty(), "{error} {left:?}");
    }
}

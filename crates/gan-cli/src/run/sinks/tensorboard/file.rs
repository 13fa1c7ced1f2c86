//! Event files: records of a length, a message and their checksums (TensorFlow's `TFRecord` format).

use super::proto::{self, Summary, What};
use anyhow::Result;
use gan_files::Appender;
use prost::Message;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `TensorBoard` reads files whose names contain this, in the order of their names. So the time follows.
const PREFIX: &str = "events.out.tfevents.";
/// The end of the names of this program's files. Other programs may write event files beside them.
const SUFFIX: &str = ".gan-cli";

/// A file that grows by whole events.
pub(super) struct EventFile(Appender);

impl EventFile {
    /// Creates a file in the directory of a run.
    pub(super) fn create(run: &Path) -> Result<Self> {
        let seconds = since_1970().as_secs();
        let free = (0u32..).map(|number| run.join(format!("{PREFIX}{seconds:010}.{number:04}{SUFFIX}")));
        let path = free.into_iter().find(|path| path.symlink_metadata().is_err()).unwrap_or_default();
        let file = Self(Appender::open(&path)?);
        file.write(0, What::FileVersion("brain.Event:2".to_owned()))?;
        Ok(file)
    }

    /// Makes readers forget all events after `step`, in this file and in those before it.
    pub(super) fn forget_after(&self, step: u64) -> Result<()> {
        self.write(step + 1, What::SessionLog(proto::SessionLog { status: proto::SESSION_START }))
    }

    /// Appends an event, unless it has no values.
    pub(super) fn append(&self, step: u64, summary: Summary) -> Result<()> {
        if summary.value.is_empty() { Ok(()) } else { self.write(step, What::Summary(summary)) }
    }

    fn write(&self, step: u64, what: What) -> Result<()> {
        let wall_time = since_1970().as_secs_f64();
        let event = proto::Event { wall_time, step: step.cast_signed(), what: Some(what) };
        Ok(self.0.append(&record(&event.encode_to_vec()))?)
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whether this program writes event files with such names.
pub(crate) fn is_event_file(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), message, &masked(message)].concat()
}

/// A checksum that is safe to store beside the bytes, which may contain checksums themselves.
pub(super) fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

//! Faults for tests. With the feature `faults`, each operation of this crate can be made to fail, or
//! the process to end before it. Without the feature, this module does nothing.
//!
//! The environment variable `GAN_FILES_FAULT` says what happens, for example `enospc@7`: from the
//! seventh operation on, nothing can be written. `GAN_FILES_TRACE` names a file to which each
//! operation is appended, so that a test knows how many there are.

use std::io;
use std::path::Path;

/// An operation of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Reads a file or lists a directory.
    Read,
    /// Creates a file or a directory.
    Create,
    /// Writes into a file.
    Write,
    /// Makes a file or a directory survive a power failure.
    Flush,
    Rename,
    Delete,
}

/// Fails, or ends the process, if this is the operation that the environment names.
#[cfg(not(feature = "faults"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature `faults` it fails")]
pub(crate) fn point(_: Operation, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "faults")]
pub(crate) use injected::point;

#[cfg(feature = "faults")]
mod injected {
    use super::{Operation, Path, io};
    use std::io::Write;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// What happens at an operation, counted from 1.
    #[derive(Debug, Clone, Copy)]
    enum Kind {
        /// The disk is full from then on.
        Full,
        /// The disk fails, at this operation only.
        Broken,
        /// The file system is read-only from then on.
        ReadOnly,
        /// The process ends before the operation, without any clean-up. Its exit code is the one
        /// that a shell shows after SIGKILL.
        Killed,
        /// The process aborts before the operation, as it does where there is no more memory.
        Aborted,
    }

    static FAULT: LazyLock<Option<(Kind, u64)>> = LazyLock::new(|| {
        let text = std::env::var("GAN_FILES_FAULT").ok()?;
        let (kind, at) = text.split_once('@')?;
        let kind = match kind {
            "enospc" => Kind::Full,
            "eio" => Kind::Broken,
            "erofs" => Kind::ReadOnly,
            "kill" => Kind::Killed,
            "abort" => Kind::Aborted,
            _ => return None,
        };
        Some((kind, at.parse().ok()?))
    });
    static DONE: AtomicU64 = AtomicU64::new(0);

    pub(crate) fn point(operation: Operation, path: &Path) -> io::Result<()> {
        let now = DONE.fetch_add(1, Ordering::SeqCst) + 1;
        trace(operation, path)?;
        let Some((kind, at)) = *FAULT else { return Ok(()) };
        let writes = matches!(operation, Operation::Create | Operation::Write);
        match kind {
            Kind::Killed if now == at => std::process::exit(137),
            Kind::Aborted if now == at => std::process::abort(),
            Kind::Full if now >= at && writes => Err(io::ErrorKind::StorageFull.into()),
            Kind::Broken if now == at => Err(io::Error::other("input/output error")),
            Kind::ReadOnly if now >= at && !matches!(operation, Operation::Read | Operation::Flush) => {
                Err(io::ErrorKind::ReadOnlyFilesystem.into())
            }
            Kind::Killed | Kind::Aborted | Kind::Full | Kind::Broken | Kind::ReadOnly => Ok(()),
        }
    }

    fn trace(operation: Operation, path: &Path) -> io::Result<()> {
        static TRACE: LazyLock<Option<std::ffi::OsString>> =
            LazyLock::new(|| std::env::var_os("GAN_FILES_TRACE"));
        let Some(trace) = &*TRACE else { return Ok(()) };
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(trace)?;
        writeln!(file, "{operation:?} {}", path.display())
    }
}

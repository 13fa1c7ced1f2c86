//! A zip archive of pictures, such as `StyleGAN`'s `dataset_tool.py` and `gan-cli data prepare`
//! write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use zip::ZipArchive;

use super::picture::Attempt;
use crate::{DataError, Result};

/// Largest length of an entry. It is read into memory before it is decoded.
const MAX_ENTRY_BYTES: u64 = 256 << 20;

/// An open archive. Threads read from it at the same time.
pub(super) struct Archive {
    zip: ZipArchive<Shared>,
    /// The place of each file in the archive, by its path.
    files: BTreeMap<String, usize>,
}

/// Number of bytes that are read at once. The list of entries is read in small parts.
const BUFFER: usize = 1 << 14;

/// A file that several readers share. Each has its own position and buffer.
#[derive(Clone)]
struct Shared {
    file: Arc<Mutex<File>>,
    at: u64,
    /// Bytes of the file from the place `start` on.
    buffer: Vec<u8>,
    start: u64,
}

impl Archive {
    /// Opens an archive and reads its list of entries.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no zip archive. If two entries have the same path, or one
    /// leads outside.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        let shared = Shared { file: Arc::new(Mutex::new(file)), at: 0, buffer: vec![], start: 0 };
        let broken = |problem: String| DataError::Archive { path: path.to_owned(), problem };
        let zip = ZipArchive::new(shared.clone()).map_err(|error| broken(error.to_string()))?;
        let start = zip.central_directory_start();
        // Only the last of them would be read.
        if zip.has_duplicate_names() {
            let name = twice(shared, start).unwrap_or_else(|| "of the same name".to_owned());
            return Err(broken(format!("it has two entries {name}")));
        }
        let (listed, announced) = (names_from(shared, start).count(), zip.len());
        if listed > announced {
            return Err(broken(format!(
                "its list has {listed} entries, but its end announces {announced}, as programs write that cannot \
                 count beyond 65,535: unpack it, and give the directory"
            )));
        }
        let mut files = BTreeMap::new();
        for index in 0..zip.len() {
            let Some(Ok(name)) = zip.name_for_index(index) else { continue };
            let Some(file) = cleaned(&name) else { continue };
            if file.split('/').any(|part| part == "..") {
                return Err(broken(format!("its entry {name} leads outside")));
            }
            if files.insert(file, index).is_some() {
                return Err(broken(format!("it has two entries {name}")));
            }
        }
        Ok(Self { zip, files })
    }

    /// The paths of all files in the archive, with `/` between their parts.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    /// Whether the archive has this file.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Number of bytes that the archive announces for an entry. 0 if there is no such entry.
    pub(super) fn length(&self, name: &str) -> u64 {
        let index = self.files.get(name);
        index.and_then(|&index| Some(self.zip.clone().by_index_raw(index).ok()?.size())).unwrap_or(0)
    }

    /// The bytes of an entry.
    ///
    /// # Errors
    ///
    /// If there is no such entry, it is damaged, or it is longer than 256 MiB.
    pub(super) fn read(&self, name: &str) -> Attempt<Vec<u8>> {
        let unreadable = |error: &dyn std::fmt::Display| format!("cannot read it ({error})");
        // A copy shares the list of entries and the file.
        let mut archive = self.zip.clone();
        let index = self.files.get(name).ok_or_else(|| unreadable(&"it is not in the archive"))?;
        let entry = archive.by_index(*index).map_err(|error| unreadable(&error))?;
        // An entry may be longer than the archive says.
        let announced = entry.size();
        if announced > MAX_ENTRY_BYTES {
            return Err(format!("it has {announced} bytes; at most {MAX_ENTRY_BYTES}"));
        }
        let mut bytes = vec![];
        entry.take(announced + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > announced {
            return Err(format!("it has more than the {announced} bytes that the archive announces"));
        }
        Ok(bytes)
    }
}

/// The first name that two entries have, in the list of entries that starts at the place `start`.
fn twice(file: impl Read + Seek, start: u64) -> Option<String> {
    let mut seen = BTreeSet::new();
    let name = names_from(file, start).find(|name| !seen.insert(name.clone()))?;
    Some(String::from_utf8_lossy(&name).into_owned())
}

/// The names in the list of entries that starts at the place `start` of an archive. The layout is that of
/// PKWARE's APPNOTE, section 4.3.12.
fn names_from(mut file: impl Read + Seek, start: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut next = move |place: u64| -> io::Result<Option<(Vec<u8>, u64)>> {
        file.seek(SeekFrom::Start(place))?;
        let mut header = [0; 46];
        file.read_exact(&mut header)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Ok(None);
        }
        let length = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let mut name = vec![0; length(28).into()];
        file.read_exact(&mut name)?;
        let end = place + header.len() as u64;
        Ok(Some((name, [28, 30, 32].into_iter().fold(end, |end, at| end + u64::from(length(at))))))
    };
    let mut place = start;
    std::iter::from_fn(move || {
        let (name, after) = next(place).ok().flatten()?;
        place = after;
        Some(name)
    })
}

/// The path of an entry, with `/` between its parts. Windows writes other separators, and some
/// programs write `./` or `/` in front. `None` for a directory.
fn cleaned(name: &str) -> Option<String> {
    let name = name.replace('\\', "/");
    let parts: Vec<&str> = name.split('/').filter(|part| !["", "."].contains(part)).collect();
    (!name.ends_with('/')).then(|| parts.join("/"))
}

/// Whether a path is that of a zip archive of pictures: a file whose name ends in `.zip`, in upper or
/// lower case.
#[must_use]
pub fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) && path.is_file()
}

impl Read for Shared {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut offset = self.at.wrapping_sub(self.start);
        if offset >= self.buffer.len() as u64 {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(self.at))?;
            if buf.len() >= BUFFER {
                let read = file.read(buf)?;
                self.at += read as u64;
                return Ok(read);
            }
            self.buffer.resize(BUFFER, 0);
            let read = file.read(&mut self.buffer)?;
            self.buffer.truncate(read);
            (self.start, offset) = (self.at, 0);
        }
        let read = (&self.buffer[offset as usize..]).read(buf)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.at = match to {
            SeekFrom::Current(by) => {
                let to = self.at.checked_add_signed(by);
                to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?
            }
            other => file.seek(other)?,
        };
        Ok(self.at)
    }
}

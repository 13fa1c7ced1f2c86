//! Reads the bytes of a file, raw or gzip, up to a given limit.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::{DataError, Result};

pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Maximum number of uncompressed bytes in a file: ninety times MNIST.
pub(crate) const MAX_BYTES: u64 = 1 << 32;

/// Uncompressed bytes, and the file's name for errors.
pub(crate) struct Content<'a> {
    reader: Box<dyn Read + 'a>,
    path: &'a Path,
    gzip: bool,
    taken: u64,
}

impl<'a> Content<'a> {
    /// Opens the file `path`. Its first two bytes say whether it is raw or gzip.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a regular file, or is called `.gz` but is not gzip.
    pub(crate) fn open(path: &'a Path) -> Result<Self> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        // Opening a pipe could wait forever, and a device can have any number of bytes.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(DataError::NotRegular { path: path.to_owned() });
        }
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        let start = file.fill_buf().map_err(unreadable)?;
        let start = &start[..start.len().min(GZIP_MAGIC.len())];
        let named_gz = path.extension().is_some_and(|end| end.eq_ignore_ascii_case(OsStr::new("gz")));
        if named_gz && start != GZIP_MAGIC {
            let found = match start {
                [] => "an empty file".to_owned(),
                bytes => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
            };
            return Err(DataError::NotGzip { path: path.to_owned(), found });
        }
        Self::of(file, path)
    }

    /// Reads the bytes of `reader`, raw or gzip. Errors use `path` as the file's name.
    ///
    /// # Errors
    ///
    /// If the reader fails.
    pub(crate) fn of(mut reader: impl BufRead + 'a, path: &'a Path) -> Result<Self> {
        let start = reader.fill_buf().map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        Ok(if start.starts_with(&GZIP_MAGIC) {
            Self::inflated(Members::of(reader), path)
        } else {
            Self { reader: Box::new(reader), path, gzip: false, taken: 0 }
        })
    }

    /// Reads the output of a gzip decoder.
    pub(crate) fn inflated(decoder: impl Read + 'a, path: &'a Path) -> Self {
        Self { reader: Box::new(decoder), path, gzip: true, taken: 0 }
    }

    /// The file's name for errors.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// The next bytes, up to `limit`. The buffer grows with the bytes that arrive, not with the
    /// length that a header announces.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or its gzip stream is cut off or corrupt.
    pub(crate) fn read(&mut self, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let result = self.reader.by_ref().take(limit).read_to_end(&mut bytes);
        self.taken += bytes.len() as u64;
        let Err(source) = result else { return Ok(bytes) };
        let path = self.path.to_owned();
        Err(match source.kind() {
            io::ErrorKind::UnexpectedEof if self.gzip => DataError::GzipEnds { path, found: self.taken },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if self.gzip => {
                DataError::GzipCorrupt { path, source }
            }
            _ => match source.get_ref().and_then(|cause| cause.downcast_ref()) {
                Some(&Followed(found)) => DataError::GzipFollowed { path, found },
                None => DataError::Read { path, source },
            },
        })
    }
}

/// The content of a gzip file: its streams one after the other, as the program gzip reads them.
/// Zeros may follow them. Tapes and some tools fill blocks with zeros.
struct Members<R> {
    /// The stream that is read now.
    member: Option<Member<R>>,
}

/// A stream. Its first bytes were looked at and are put before the others.
type Member<R> = GzDecoder<io::Chain<Cursor<Vec<u8>>, R>>;

/// The number of bytes that follow the streams of a gzip file and should not.
#[derive(Debug, thiserror::Error)]
#[error("{0} bytes after the end of the compressed data")]
struct Followed(u64);

impl<R: BufRead> Members<R> {
    fn of(reader: R) -> Self {
        Self { member: Some(GzDecoder::new(Cursor::new(vec![]).chain(reader))) }
    }

    /// The stream that begins here, if there is one.
    fn next(mut reader: R) -> io::Result<Option<Member<R>>> {
        let mut start = vec![];
        reader.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
        if start == GZIP_MAGIC {
            return Ok(Some(GzDecoder::new(Cursor::new(start).chain(reader))));
        }
        let mut only_zeros = start.iter().all(|byte| *byte == 0);
        let mut length = start.len() as u64;
        loop {
            let more = reader.fill_buf()?;
            if more.is_empty() {
                break;
            }
            only_zeros &= more.iter().all(|byte| *byte == 0);
            let read = more.len();
            length += read as u64;
            reader.consume(read);
        }
        if only_zeros { Ok(None) } else { Err(io::Error::other(Followed(length))) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let rest = self.member.take().map(|member| member.into_inner().into_inner().1);
            self.member = rest.map(Self::next).transpose()?.flatten();
        }
        Ok(0)
    }
}

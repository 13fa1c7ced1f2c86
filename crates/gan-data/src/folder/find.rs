//! Finds the picture files of a directory, and counts the files that are passed over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::archive::{self, Archive};
use super::budget::Budget;
use super::labels::{self, Labels, Preparation};
use super::picture::{Attempt, Picture};
use super::{Crop, EXTENSIONS, Transform};
use crate::{DataError, Result};

/// Number of kinds of other files that are named.
const KINDS: usize = 6;
/// macOS's archives have this directory. It contains a file of metadata for each picture, with the
/// picture's extension.
const METADATA: &str = "__MACOSX";

/// A directory with these files is a run of the program. Its pictures are generated ones.
const RUN: [&str; 2] = ["config.toml", "metrics.jsonl"];

/// The files of a directory and of all directories below it, or those of a zip archive.
pub(super) struct Found {
    /// Paths of the files with a picture's extension, at least one, sorted.
    pub(super) pictures: Vec<PathBuf>,
    /// The classes of the pictures.
    pub(super) labels: Labels,
    /// What `data prepare` has done to the pictures.
    prepared: Preparation,
    /// The archive that the pictures are in.
    archive: Option<Archive>,
    root: PathBuf,
    /// Number of other files by extension.
    others: BTreeMap<String, usize>,
    /// Number of runs below the directory, which are not searched.
    runs: usize,
    /// Links to directories that were searched already, below the root.
    again: Vec<String>,
    /// Links that lead nowhere and have no picture's extension, below the root.
    dangling: Vec<String>,
    /// Number of pictures that `dataset.json` names and that do not exist.
    absent: usize,
}

/// Whether the name of a file ends like a picture's that can be read, in upper or lower case.
#[must_use]
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Whether the directory contains pictures, or a directory directly below it does.
pub(crate) fn has_pictures(dir: &Path) -> bool {
    let entries = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| !is_hidden(path))
    };
    entries(dir).any(|path| is_picture(&path) || entries(&path).any(|path| is_picture(&path)))
}

/// Finds all files in `root`, which is a directory or a zip archive, and below. It also finds the
/// classes of the pictures.
///
/// # Errors
///
/// If a directory or the archive cannot be read, `root` is neither, or no file has a picture's
/// extension. If there is a `dataset.json` whose labels do not fit the pictures.
pub(super) fn pictures(root: &Path) -> Result<Found> {
    let mut found = Found {
        pictures: vec![],
        labels: Labels::Unknown(None),
        prepared: Preparation::default(),
        archive: None,
        root: root.to_owned(),
        others: BTreeMap::new(),
        runs: 0,
        again: vec![],
        dangling: vec![],
        absent: 0,
    };
    if archive::is_archive(root) {
        let archive = Archive::open(root)?;
        let runs = runs_in(&archive);
        found.runs = runs.len();
        for name in archive.names().filter(|name| !runs.iter().any(|run| name.starts_with(run))) {
            found.add_entry(name);
        }
        found.archive = Some(archive);
    } else {
        crate::spelling::require_dir(root)?;
        let (mut seen, mut links) = (BTreeSet::new(), VecDeque::from([root.to_owned()]));
        // Links come last, so a directory keeps its own name.
        while let Some(directory) = links.pop_front() {
            search(&directory, &mut seen, &mut links, &mut found)?;
        }
    }
    if found.pictures.is_empty() {
        let others = found.others().map_or_else(String::new, |others| format!(" ({others})"));
        return Err(DataError::NoImages { dir: root.to_owned(), extensions: EXTENSIONS.join(", "), others });
    }
    found.pictures.sort();
    found.label()?;
    Ok(found)
}

/// The runs in an archive, with a `/` at the end. A run inside another run is not listed.
fn runs_in(archive: &Archive) -> Vec<String> {
    let mut runs: Vec<String> = vec![];
    for name in archive.names() {
        let Some(run) = name.strip_suffix(RUN[0]).filter(|run| run.ends_with('/')) else { continue };
        if RUN.iter().all(|file| archive.contains(&format!("{run}{file}")))
            && !runs.iter().any(|outer| run.starts_with(outer))
        {
            runs.retain(|inner| !inner.starts_with(run));
            runs.push(run.to_owned());
        }
    }
    runs
}

/// Searches a directory and those in it. Appends the links to directories to `links`.
fn search(
    dir: &Path,
    seen: &mut BTreeSet<PathBuf>,
    links: &mut VecDeque<PathBuf>,
    found: &mut Found,
) -> Result<()> {
    let unreadable = |source| DataError::Read { path: dir.to_owned(), source };
    // Links can form a loop, and can lead to one directory by exponentially many paths.
    let target = std::fs::canonicalize(dir).map_err(unreadable)?;
    if !seen.insert(target.clone()) {
        let around = dir.parent().and_then(|parent| parent.canonicalize().ok());
        let is_loop = around.is_some_and(|around| around.starts_with(&target));
        if !is_loop {
            found.again.push(name_below(&found.root, dir));
        }
        return Ok(());
    }
    let entries = std::fs::read_dir(dir).map_err(unreadable)?;
    let mut entries =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().map_err(unreadable)?;
    // The order decides under which of its links a directory is searched.
    entries.sort();
    for path in entries.into_iter().filter(|path| !is_hidden(path)) {
        // A file can vanish, and a link can lead nowhere. If it should be a picture, it is reported
        // when it is opened.
        let kind = std::fs::metadata(&path).ok();
        if kind.as_ref().is_some_and(Metadata::is_dir) {
            if RUN.iter().all(|file| path.join(file).is_file()) {
                found.runs += 1;
                continue;
            }
            if path.is_symlink() {
                links.push_back(path);
            } else {
                search(&path, seen, links, found)?;
            }
        } else if is_picture(&path) && kind.as_ref().is_none_or(Metadata::is_file) {
            found.pictures.push(path);
        } else if kind.is_none() && path.is_symlink() {
            found.dangling.push(name_below(&found.root, &path));
        } else {
            *found.others.entry(extension(&path)).or_default() += 1;
        }
    }
    Ok(())
}

impl Found {
    fn add_entry(&mut self, name: &str) {
        let path = Path::new(name);
        if path.iter().any(|part| is_hidden(Path::new(part))) {
        } else if is_picture(path) {
            self.pictures.push(self.root.join(path));
        } else {
            *self.others.entry(extension(path)).or_default() += 1;
        }
    }

    /// What has been done to the pictures if they are transformed now.
    ///
    /// # Errors
    ///
    /// If `data prepare` has cut them already, and they would be cut again, or has put them on another
    /// background.
    pub(super) fn prepared_for(&self, Transform { crop, background }: Transform) -> Result<Preparation> {
        let refused = |field, expected: &str, how: &str, found: String| {
            let root = self.root.display();
            let expected = format!("{expected}, because the pictures of {root} were {how}");
            Err(DataError::Value { field, expected, found })
        };
        if let (Some(other), Some(background)) = (self.prepared.background, background)
            && other != background
        {
            let (expected, how) =
                (format!("\"{other}\" or no value"), "put on it by data prepare --background");
            return refused("data.background", &expected, how, background.to_string());
        }
        match (self.prepared.crop, crop) {
            (_, Crop::Centre) => Ok(self.prepared),
            (Crop::Centre, crop) => Ok(Preparation { crop, ..self.prepared }),
            _ => refused("data.crop", "\"centre\"", "cut with data prepare --crop", crop.to_string()),
        }
    }

    /// Opens a picture. One in an archive is read into memory, which takes a share of the budget
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// The errors of [`Picture::open`].
    pub(super) fn open(&self, path: &Path, budget: &Budget) -> Attempt<Picture> {
        match &self.archive {
            Some(archive) => {
                let name = name_below(&self.root, path);
                let _share = budget.take(archive.length(&name));
                Picture::of_bytes(archive.read(&name)?)
            }
            None => Picture::open(path),
        }
    }

    /// The content of a file that may be missing.
    fn content(&self, file: &Path) -> Result<Option<Vec<u8>>> {
        if let Some(archive) = &self.archive {
            let name = name_below(&self.root, file);
            let broken = |problem| DataError::Labels { path: file.to_owned(), problem };
            return archive.contains(&name).then(|| archive.read(&name).map_err(broken)).transpose();
        }
        let unreadable = |e: gan_files::FileError| DataError::Read { path: e.path, source: e.source };
        file.is_file().then(|| gan_files::read(file).map_err(unreadable)).transpose()
    }

    /// Finds the classes of the pictures, in `dataset.json` or in the names of directories.
    fn label(&mut self) -> Result<()> {
        self.check_names()?;
        let names: Vec<String> = self.pictures.iter().map(|path| name_below(&self.root, path)).collect();
        let mut of_json = None;
        // Archives of a folder have one directory around everything.
        for directory in labels::around(&names) {
            let file = self.root.join(&directory).join(labels::FILE);
            let Some(text) = self.content(&file)? else { continue };
            let below = |name: &String| name.strip_prefix(&directory).unwrap_or(name).to_owned();
            let names: Vec<String> = names.iter().map(below).collect();
            of_json = Labels::of_json(&file, &text, &names)?;
            if of_json.is_some() {
                break;
            }
        }
        if let Some(json) = of_json {
            (self.labels, self.prepared, self.absent) = (json.labels, json.prepared, json.absent);
            // It is not passed over.
            let json = self.others.entry("json".to_owned()).or_default();
            *json = json.saturating_sub(1);
        } else {
            self.labels = Labels::of_directories(names.iter().map(Path::new));
        }
        self.others.retain(|_, count| *count > 0);
        Ok(())
    }

    /// Refuses directories whose names are equal as text, because they would become one class.
    fn check_names(&self) -> Result<()> {
        if self.pictures.iter().all(|path| path.to_str().is_some()) {
            return Ok(());
        }
        let mut paths = BTreeMap::new();
        for picture in &self.pictures {
            let below = picture.strip_prefix(&self.root).unwrap_or(picture);
            for path in below.ancestors().skip(1) {
                let text = path.to_string_lossy();
                if paths.get(&text).is_some_and(|other| *other != path) {
                    return Err(DataError::Value {
                        field: "data.dir",
                        expected: "names of directories that differ as Unicode".to_owned(),
                        found: format!("two that are both {text} in {}", self.root.display()),
                    });
                }
                paths.insert(text, path);
            }
        }
        Ok(())
    }

    /// How many runs and other files were passed over, and of which kinds. `None` if there are none.
    pub(super) fn others(&self) -> Option<String> {
        let runs = match self.runs {
            0 => None,
            1 => Some("a run of gan-cli passed over".to_owned()),
            runs => Some(format!("{runs} runs of gan-cli passed over")),
        };
        let again = self.again.first().map(|first| match self.again.len() {
            1 => format!("the link {first} passed over, because its directory was read already"),
            count => {
                format!("{count} links passed over, because their directories were read already ({first})")
            }
        });
        let dangling = self.dangling.first().map(|first| match self.dangling.len() {
            1 => format!("the link {first} passed over, because it leads nowhere"),
            count => format!("{count} links passed over, because they lead nowhere ({first})"),
        });
        let absent = match self.absent {
            0 => None,
            1 => Some(format!("1 picture of {} is missing", labels::FILE)),
            count => Some(format!("{count} pictures of {} are missing", labels::FILE)),
        };
        let parts = [self.other_files(), runs, again, dangling, absent];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn other_files(&self) -> Option<String> {
        let all: usize = self.others.values().sum();
        let mut kinds: Vec<_> = self.others.iter().collect();
        kinds.sort_by_key(|&(_, &count)| std::cmp::Reverse(count));
        let mut named: Vec<_> =
            kinds.iter().take(KINDS).map(|(extension, count)| format!("{extension} {count}")).collect();
        let rest: usize = kinds.iter().skip(KINDS).map(|&(_, count)| count).sum();
        if rest > 0 {
            named.push(format!("and {rest} of other kinds"));
        }
        let files = if all == 1 { "file" } else { "files" };
        (all > 0).then(|| format!("{all} other {files} passed over ({})", named.join(", ")))
    }
}

/// The path of a picture below the root, with `/` between its parts.
fn name_below(root: &Path, picture: &Path) -> String {
    let below = picture.strip_prefix(root).unwrap_or(picture);
    let parts: Vec<_> = below.iter().map(OsStr::to_string_lossy).collect();
    parts.join("/")
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".") || name == METADATA
}

fn extension(path: &Path) -> String {
    match path.extension() {
        Some(extension) => extension.to_string_lossy().to_lowercase(),
        None => "without extension".to_owned(),
    }
}

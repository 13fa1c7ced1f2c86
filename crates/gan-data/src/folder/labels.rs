//! The classes of pictures: from `StyleGAN`'s `dataset.json`, or from the directories that the
//! pictures are in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::{Background, Crop};
use crate::{DataError, Dataset, Result};

/// The file with the labels, in the form of `StyleGAN2-ADA`'s `dataset_tool.py`.
pub(super) const FILE: &str = "dataset.json";
/// Largest number of classes.
const MAX_CLASSES: usize = 1000;
/// Names of directories that hold the parts of a data set, and not its classes.
const SPLITS: [&str; 6] = ["train", "training", "val", "validation", "valid", "test"];

/// The classes of some pictures.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Labels {
    Known {
        /// The label of each picture.
        of_pictures: Vec<u16>,
        classes: usize,
        /// Names of the classes. Empty if they have no names.
        names: Vec<String>,
    },
    /// The classes are not known. The text says why, if people could expect classes.
    Unknown(Option<String>),
}

#[derive(Deserialize)]
struct File {
    labels: Option<Vec<(String, serde_json::Value)>>,
    /// `gan-cli data prepare` adds the names. `StyleGAN` does not read them.
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default, rename = "gan-cli")]
    prepared: Preparation,
}

/// What `gan-cli data prepare` has done to the pictures of an archive, in its `dataset.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Preparation {
    /// The part of each picture that was kept.
    #[serde(default)]
    pub(super) crop: Crop,
    /// The colour behind transparent parts, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) background: Option<Background>,
    /// The colour that the mean of the pictures was, if the background is the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mean: Option<Background>,
}

impl Preparation {
    /// Notes that transparent parts were put on this background, which was this colour.
    pub(super) fn note(&mut self, background: Background, color: [u8; 3]) {
        self.background = Some(background);
        self.mean = (background == Background::Mean).then_some(Background::Color(color));
    }

    /// The colour behind what was transparent, if anything was and an archive tells it.
    pub(super) fn ground(&self) -> Option<[u8; 3]> {
        match self.mean.or(self.background)? {
            Background::Color(color) => Some(color),
            Background::Mean => None,
        }
    }
}

/// What a `dataset.json` says about some pictures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Json {
    pub(super) labels: Labels,
    pub(super) prepared: Preparation,
    /// Number of other pictures that have a label. They are missing.
    pub(super) absent: usize,
}

impl Labels {
    /// Reads the content of `path`, a `dataset.json`, for pictures with these paths, and what was done
    /// to them. `None` if it has another form, because other programs write files of this name too.
    ///
    /// # Errors
    ///
    /// If a picture has no label, a label is no whole number below 1000, or names are missing.
    pub(super) fn of_json(path: &Path, text: &[u8], pictures: &[String]) -> Result<Option<Json>> {
        let wrong = |problem: String| DataError::Labels { path: path.to_owned(), problem };
        if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
            return Err(wrong("is UTF-16 text: save it as UTF-8".to_owned()));
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let content: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| wrong(format!("is not JSON ({error})")))?;
        if content.get("labels").is_none() {
            return Ok(None);
        }
        drop(content);
        // A struct is read strictly: of two keys of the same name, `Value` keeps the last.
        let File { labels, classes: names, prepared } = serde_json::from_slice(text).map_err(|error| {
            wrong(format!("expected {{\"labels\": [[\"00000/img.png\", 6], ...]}}, found {error}"))
        })?;
        let Some(labels) = labels else {
            return Ok(Some(Json { labels: Self::Unknown(None), prepared, absent: 0 }));
        };
        let mut of_names = BTreeMap::new();
        for (name, label) in labels {
            let name = name.replace('\\', "/");
            if of_names.get(&name).is_some_and(|before| *before != label) {
                return Err(wrong(format!("{name} has two labels")));
            }
            of_names.insert(name, label);
        }
        let labels = of_names;
        let missing = pictures.iter().filter(|picture| !labels.contains_key(*picture));
        if let Some(first) = missing.clone().next() {
            let count = missing.count();
            return Err(wrong(format!("{count} of {} pictures have no label: {first}", pictures.len())));
        }
        let known: BTreeSet<&String> = pictures.iter().collect();
        if known.len() < pictures.len() {
            return Err(wrong("two pictures have names that are equal as Unicode".to_owned()));
        }
        let label = |picture: &String| {
            let value = &labels[picture];
            let number = value.as_u64().and_then(|label| u16::try_from(label).ok());
            number.filter(|&label| usize::from(label) < MAX_CLASSES).ok_or_else(|| {
                let found: String = value.to_string().chars().take(40).collect();
                wrong(format!("{picture}: expected a label from 0 to {}, found {found}", MAX_CLASSES - 1))
            })
        };
        let of_pictures = pictures.iter().map(label).collect::<Result<Vec<u16>>>()?;
        let classes = of_pictures.iter().max().map_or(0, |&largest| usize::from(largest) + 1);
        if !names.is_empty() && !(classes..=MAX_CLASSES).contains(&names.len()) {
            return Err(wrong(format!("expected {classes} names of classes, found {}", names.len())));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(wrong(format!("expected different names of classes, found {twice} twice")));
        }
        let classes = classes.max(names.len());
        // Each picture has a label, so the others belong to no picture.
        let absent = labels.len() - pictures.len();
        Ok(Some(Json { labels: Self::Known { of_pictures, classes, names }, prepared, absent }))
    }

    /// Takes the directories at the top as classes, in the order of their names, as torchvision's
    /// `ImageFolder` does. If there is only one directory and nothing beside it, the directories in
    /// it are at the top. `pictures` are paths below the root.
    pub(super) fn of_directories<'a>(pictures: impl Iterator<Item = &'a Path>) -> Self {
        let paths: Vec<Vec<String>> = pictures.map(directories).collect();
        let depth = shared_depth(&paths);
        let tops: Vec<Option<&String>> = paths.iter().map(|path| path.get(depth)).collect();
        let names: BTreeSet<&String> = tops.iter().copied().flatten().collect();
        let outside = tops.iter().filter(|top| top.is_none()).count();
        if outside > 0 {
            let why = format!(
                "the directories are no classes, because {outside} of {} pictures are outside of them",
                paths.len()
            );
            return Self::Unknown((names.len() > 1).then_some(why));
        }
        if names.len() < 2 {
            return Self::Unknown(None);
        }
        if names.iter().all(|name| SPLITS.iter().any(|split| name.eq_ignore_ascii_case(split))) {
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            let names = names.join(" and ");
            return Self::Unknown(Some(format!("{names} are no classes (name one of them as the folder)")));
        }
        if names.len() > MAX_CLASSES {
            let count = names.len();
            return Self::Unknown(Some(format!("{count} directories are more than {MAX_CLASSES} classes")));
        }
        let numbers: BTreeMap<&String, u16> = (0..).zip(&names).map(|(label, name)| (*name, label)).collect();
        let of_pictures = tops.iter().flatten().map(|top| numbers[top]).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        Self::Known { of_pictures, classes: names.len(), names }
    }

    /// Why the classes are not known, if people could expect some.
    pub(super) fn doubt(&self) -> Option<&str> {
        match self {
            Self::Known { .. } => None,
            Self::Unknown(why) => why.as_deref(),
        }
    }

    /// The same images with these classes.
    pub(super) fn put_on(self, data: Dataset) -> Result<Dataset> {
        match self {
            Self::Known { of_pictures, classes, names } if names.is_empty() => {
                data.with_labels(of_pictures, classes)
            }
            Self::Known { of_pictures, classes, names } => {
                data.with_labels(of_pictures, classes)?.with_class_names(names)
            }
            Self::Unknown(_) => Ok(data),
        }
    }
}

/// The directories of a file.
fn directories(file: &Path) -> Vec<String> {
    let parents = file.parent().into_iter().flat_map(Path::components);
    let names = parents.filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    names.collect()
}

/// The directories that all files are in, from the outermost: empty, or with a `/` at the end.
pub(super) fn around(names: &[String]) -> Vec<String> {
    let paths: Vec<Vec<String>> = names.iter().map(|name| directories(Path::new(name))).collect();
    let depth = shared_depth(&paths);
    let first = paths.first().map_or(&[][..], |path| &path[..depth]);
    let mut all = vec![String::new()];
    for name in first {
        all.push([&all[all.len() - 1], name, "/"].concat());
    }
    all
}

/// Number of directories at the start that are the same for all files.
fn shared_depth(paths: &[Vec<String>]) -> usize {
    let Some((first, others)) = paths.split_first() else { return 0 };
    let same = |path: &Vec<String>| first.iter().zip(path).take_while(|(a, b)| a == b).count();
    others.iter().map(same).min().unwrap_or(0)
}

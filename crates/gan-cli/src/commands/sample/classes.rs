//! The classes that `sample` draws.

use super::DEFAULT_COUNT;
use crate::args;
use crate::draw::Labels;
use crate::exit::usage;
use crate::terminal::{counted, escaped};
use anyhow::Result;
use gan_models::Generator;

/// Number of images in each row with `--class all`.
const DEFAULT_OF_EACH: usize = 10;
/// Number of classes that a message names.
const NAMED: usize = 20;

/// The images that `--class` selects: how many, of which classes, and the columns of their grid if
/// the classes determine them.
pub(crate) struct Chosen {
    pub(crate) labels: Labels,
    pub(super) count: usize,
    pub(super) columns: Option<usize>,
}

impl args::Class {
    /// The label of one class, for commands that draw only one.
    pub(crate) fn one(&self, generator: &Generator, names: &[String]) -> Result<u16> {
        let Some(classes) = generator.config().latents().classes() else {
            return Err(usage("--class: this generator was trained without classes (model.classes)"));
        };
        match self {
            Self::One(class) => label(class, classes, names, ""),
            Self::All => Err(usage("--class all: expected one class, or no --class")),
        }
    }

    /// Selects `count` images of one class, or of each class. In the second case the grid has one
    /// row per class.
    pub(crate) fn choose(
        &self,
        count: Option<usize>,
        generator: &Generator,
        names: &[String],
    ) -> Result<Chosen> {
        let Some(classes) = generator.config().latents().classes() else {
            return Err(usage("--class: this generator was trained without classes (model.classes)"));
        };
        Ok(match self {
            Self::One(class) => {
                let class = label(class, classes, names, ", or `all`")?;
                Chosen { labels: Labels::One(class), count: count.unwrap_or(DEFAULT_COUNT), columns: None }
            }
            Self::All => {
                if names.iter().any(|name| name == "all") {
                    tracing::warn!("--class all draws every class: {NAME}:all draws the class of this name");
                }
                let each = count.unwrap_or(DEFAULT_OF_EACH);
                Chosen { labels: Labels::Rows(each), count: classes * each, columns: Some(each) }
            }
        })
    }
}

/// The label of a class by its name or its number: see [`args::Sample::class`]. The error says what else is
/// `possible`.
fn label(class: &str, classes: usize, names: &[String], possible: &str) -> Result<u16> {
    let called = |name: &str| {
        let mut same = (0..names.len()).filter(|&label| names[label].eq_ignore_ascii_case(name));
        let exactly = names.iter().position(|other| other == name);
        exactly.or_else(|| same.next().filter(|_| same.next().is_none()))
    };
    let numbered = |number: &str| number.parse().ok().filter(|&number: &usize| number < classes);
    // A class can have any name, also one that begins with `name:`.
    let other = match class.split_once(':') {
        Some((NAME, name)) => called(name),
        Some((NUMBER, number)) => numbered(number),
        _ => numbered(class),
    };
    match (called(class), other) {
        (Some(name), Some(other)) if name != other => Err(usage(format!(
            "--class {class}: {class} is the name of class {name}, and class {other} is called {:?}: say \
             {NAME}:{class} or {NUMBER}:{other}",
            names[other]
        ))),
        (Some(label), _) | (None, Some(label)) => Ok(label as u16),
        (None, None) => Err(no_class(class, classes, names, possible)),
    }
}

/// What can be in front of a class, if its name is another's number.
const NAME: &str = "name";
const NUMBER: &str = "number";

/// The error for a class that does not exist.
fn no_class(class: &str, classes: usize, names: &[String], possible: &str) -> anyhow::Error {
    let last = classes - 1;
    if names.iter().enumerate().all(|(label, name)| *name == label.to_string()) {
        return usage(format!("--class {class}: expected a class from 0 to {last}{possible}"));
    }
    usage(format!("--class {class}: expected {}, 0 to {last}{possible}", listed(classes, names)))
}

/// What a message says about the order of the drawn classes. Empty if there is only one class.
pub(super) fn order(args: &args::Sample, generator: &Generator, count: usize, names: &[String]) -> String {
    let Some(classes) = generator.config().classes else { return String::new() };
    match &args.class {
        Some(args::Class::All) => {
            format!(", {} of each class: {}", counted(count / classes, "image"), listed(classes, names))
        }
        Some(args::Class::One(_)) => String::new(),
        // The latents contain their classes.
        None if args.latents.is_some() => String::new(),
        None if count < classes => format!(", the first of {classes} classes: {}", listed(count, names)),
        None => format!(", the classes in turn: {}", listed(classes, names)),
    }
}

/// The classes in the order of their numbers, by name if they have names.
fn listed(classes: usize, names: &[String]) -> String {
    if names.is_empty() {
        return format!("0 to {}", classes - 1);
    }
    let known: Vec<_> = names.iter().take(classes.min(NAMED)).map(|name| escaped(name, &[])).collect();
    let more = if classes > NAMED { ", ..." } else { "" };
    format!("{}{more}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_class_is_named_or_numbered_and_never_guessed() {
        let names = ["0", "1", "10", "2", "Cat", "name:1", "number:0"].map(str::to_owned);
        let label = |class: &str| label(class, names.len(), &names, "").map_err(|error| error.to_string());
        for (class, expected) in [
            ("0", 0),
            ("1", 1),
            ("10", 2),
            ("3", 3),
            ("name:2", 3),
            ("number:2", 2),
            ("cat", 4),
            ("name:cat", 4),
            ("name:name:1", 5),
            ("name:number:0", 6),
            ("number:1", 1),
        ] {
            assert_eq!(label(class), Ok(expected), "{class}");
        }
        let expected =
            "--class 2: 2 is the name of class 3, and class 2 is called \"10\": say name:2 or number:2";
        assert_eq!(label("2").unwrap_err(), expected);
        for (class, number) in [("name:1", 1), ("number:0", 0)] {
            let error = label(class).unwrap_err();
            assert!(error.ends_with(&format!("say name:{class} or number:{number}")), "{error}");
        }
        for class in ["number:7", "name:3", "dog", "7", "number:cat"] {
            let error = label(class).unwrap_err();
            assert!(error.starts_with(&format!("--class {class}: expected 0, 1, 10, 2, Cat, ")), "{error}");
        }
    }
}

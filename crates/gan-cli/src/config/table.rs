//! A configuration file as a table: what `--set` changes, and which struct each key of `[train]`
//! belongs to.

use super::Reporting;
use crate::exit::usage;
use anyhow::Result;
use gan_train::TrainConfig;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The largest number of parts in a key. No key of a configuration has so many, and a table is
/// dropped by recursion.
const MAX_DEPTH: usize = 16;

/// Sets `a.b.c=value` in a table. A value that is not TOML is used as a string, if it is one line.
pub(super) fn apply(table: &mut Table, set: &str) -> Result<()> {
    let (key, value) = set.split_once('=').ok_or_else(|| usage("expected KEY=VALUE"))?;
    let (key, value) = (key.trim(), value.trim());
    if key.split('.').any(|part| part.trim().is_empty()) {
        return Err(usage(format!("expected a key such as train.steps, found \"{key}\"")));
    }
    if value.is_empty() {
        return Err(usage(format!("{key}: expected a value, found none (\"\" is an empty text)")));
    }
    let depth = key.split('.').count();
    if depth > MAX_DEPTH {
        return Err(usage(format!("expected a key of at most {MAX_DEPTH} parts, found {depth}")));
    }
    let digits = value.trim_start_matches(['+', '-']);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole && value.parse::<i64>().is_err() {
        let (least, most) = (i64::MIN, i64::MAX);
        return Err(usage(format!("{key}: expected a whole number from {least} to {most}, found {value}")));
    }
    let parsed = toml::from_str::<Table>(&format!("value = {value}"));
    let value = match parsed.map(|mut table| (table.remove("value"), table.is_empty())) {
        Ok((Some(value), true)) => value,
        // Further lines could be further keys.
        Ok(_) => return Err(usage(format!("{key}: expected one value, found several lines"))),
        Err(_) if value.contains(char::is_control) => {
            return Err(usage(format!("{key}: expected a value, found a text with control characters")));
        }
        Err(_) => Value::String(value.to_owned()),
    };
    let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut at = table;
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        let entry = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
        at = entry.as_table_mut().ok_or_else(|| usage(format!("{part} is a value, not a table")))?;
    }
    // Steps and epochs exclude each other. An override of one removes the other.
    match (parents, last) {
        ("train", "steps") => drop(at.remove("epochs")),
        ("train", "epochs") => drop(at.remove("steps")),
        _ => (),
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

/// Moves the keys of [`Reporting`] out of the table `train`. The keys of [`TrainConfig`] remain.
pub(super) fn split(table: &mut Table) -> Result<Table> {
    // If the table is missing or is not a table, the code that reads the rest reports it.
    let Some(Value::Table(train)) = table.get_mut("train") else { return Ok(Table::new()) };
    let (training, reporting) = (fields_of::<TrainConfig>(), fields_of::<Reporting>());
    let is_known = |key: &&String| training.contains(&key.as_str()) || reporting.contains(&key.as_str());
    if let Some(unknown) = train.keys().find(|key| !is_known(key)) {
        let known: Vec<_> = training.iter().chain(reporting).map(|field| format!("`{field}`")).collect();
        let known = known.join(", ");
        return Err(usage(format!("train.{unknown}: unknown field `{unknown}`, expected one of {known}")));
    }
    Ok(reporting.iter().filter_map(|key| train.remove_entry(*key)).collect())
}

/// Puts the keys of [`Reporting`] back, in front of the tables of the generator and the
/// discriminator.
pub(super) fn join(table: &mut Table, reporting: Table) {
    let Some(Value::Table(train)) = table.get_mut("train") else { return };
    let players = ["generator", "discriminator"].map(|player| train.remove_entry(player));
    train.extend(reporting);
    train.extend(players.into_iter().flatten());
}

/// Reads a table that is at the key `at` of a file. Errors name the dotted key.
pub(super) fn read<T: DeserializeOwned>(table: Table, at: &str) -> Result<T> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|e| {
        let path = e.path().to_string();
        let path: Vec<_> = [at, &path].into_iter().filter(|part| !["", "."].contains(part)).collect();
        // The second line repeats the path.
        let problem = e.inner().to_string();
        let mut problem = problem.lines().next().unwrap_or_default().to_owned();
        for number in ["u64", "u32", "u16", "usize"].map(|kind| format!("expected {kind}")) {
            if let Some(rest) = problem.strip_suffix(&number) {
                problem = format!("{rest}expected a whole number");
            }
        }
        usage(if path.is_empty() { problem } else { format!("{}: {problem}", path.join(".")) })
    })
}

/// The keys that a configuration must have. It also has `train.steps` or `train.epochs`.
const REQUIRED: [&str; 15] = [
    "seed",
    "data.name",
    "data.batch-size",
    "model.arch",
    "model.latent-dim",
    "model.channels",
    "model.image-size",
    "model.generator.widths",
    "model.generator.activation",
    "model.discriminator.widths",
    "model.discriminator.activation",
    "train.generator.lr",
    "train.generator.betas",
    "train.discriminator.lr",
    "train.discriminator.betas",
];

/// The required keys that a table lacks, if there are any.
pub(super) fn missing(table: &Table) -> Option<String> {
    let has = |key: &str| {
        let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
        let inside = parents
            .split('.')
            .filter(|part| !part.is_empty())
            .try_fold(table, |table, part| table.get(part).and_then(Value::as_table));
        inside.is_some_and(|table| table.contains_key(last))
    };
    let mut missing: Vec<_> = REQUIRED.into_iter().filter(|key| !has(key)).collect();
    if !has("train.steps") && !has("train.epochs") {
        missing.push("train.steps or train.epochs");
    }
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// All values by their dotted keys.
pub(super) fn flatten(table: &Table) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                values.extend(
                    flatten(inner).into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value)),
                );
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => drop(values.insert(key.clone(), value.to_string())),
        }
    }
    values
}

/// The names of a struct's fields in a file.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields = Fields(&[]);
    // This always fails. The call only records the names of the fields.
    let _ = T::deserialize(&mut fields);
    fields.0
}

/// A deserializer without a value. It records the names of the fields that a struct requests.
struct Fields(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Fields {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0 = fields;
        Err(Error::custom(name))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_of_train_is_of_one_struct() {
        let (training, reporting) = (fields_of::<TrainConfig>(), fields_of::<Reporting>());
        assert!(training.contains(&"d-steps") && reporting.contains(&"log-every"));
        assert!(training.iter().all(|key| !reporting.contains(key)));
        let keys = |table: &Table| table.keys().cloned().collect::<Vec<_>>();
        let text = "seed = 1\n[train]\nkeep = 1\nsteps = 2\n[train.generator]\nlr = 1.0\n\
                    [train.health]\nevery = 3\n";
        let mut table: Table = toml::from_str(text).unwrap();
        let reporting = split(&mut table).unwrap();
        assert_eq!(keys(&reporting), ["keep", "health"]);
        assert_eq!(keys(table["train"].as_table().unwrap()), ["steps", "generator"]);
        join(&mut table, reporting);
        assert_eq!(keys(table["train"].as_table().unwrap()), ["steps", "keep", "health", "generator"]);
    }

    #[test]
    fn an_unknown_key_is_named_with_all_that_are_known() {
        let mut table: Table = toml::from_str("[train]\nlog-evry = 1\n").unwrap();
        let error = split(&mut table).unwrap_err().to_string();
        assert!(
            error.starts_with("train.log-evry: unknown field `log-evry`, expected one of `steps`, `epochs`"),
            "{error}"
        );
        assert!(
            error.contains("`discriminator`, `log-every`") && error.ends_with("`evaluate`, `tensorboard`"),
            "{error}"
        );
    }
}

//! A model card for the Hugging Face hub, filled from a run.

use crate::records::RollbackLine;
use crate::report::{COLUMNS, Record, Row, cells, evaluation_rows};
use crate::terminal::{counted, escaped};
use anyhow::Result;
use askama::Template;
use gan_models::{Distribution, ModelConfig};

#[derive(Template)]
#[template(path = "model_card.md", escape = "none")]
struct Card {
    name: String,
    /// As strings of YAML, which may be those of JSON.
    quoted_name: String,
    quoted_license: String,
    data: String,
    /// The name and value of the distance, if the run was evaluated.
    distances: Vec<(String, f64)>,
    side: usize,
    channels: usize,
    colours: &'static str,
    latent_dim: usize,
    distribution: &'static str,
    is_conditional: bool,
    classes: String,
    about: String,
    training: Vec<(&'static str, String)>,
    step: u64,
    rows: Vec<Row>,
    verdicts: Vec<String>,
    found: String,
    /// Empty if the run never went back to an earlier step.
    went_back: String,
    /// Whether the training began with weights of earlier training.
    began_trained: bool,
    data_licence: String,
}

/// The card of a run, for its weights of a step. `about` says how they were trained.
pub(crate) fn card(
    record: &Record,
    step: u64,
    model: &ModelConfig,
    about: &str,
    classes: &[String],
    license: Option<&str>,
) -> Result<String> {
    let judged: Vec<_> = record.judged_at(step).into_iter().collect();
    let data = record.config.data.name.to_string();
    let card = Card {
        name: plain(&record.name),
        quoted_name: serde_json::to_string(&record.name)?,
        quoted_license: serde_json::to_string(license.unwrap_or("other"))?,
        distances: judged.iter().filter_map(|judged| judged.distance()).collect(),
        side: model.image_size,
        channels: model.channels,
        colours: if model.channels == 1 { "gray" } else { "RGB" },
        latent_dim: model.latent_dim,
        distribution: match model.latent {
            Distribution::Normal => "standard normal distribution",
            Distribution::Uniform => "uniform distribution on [-1, 1)",
        },
        is_conditional: model.classes.is_some(),
        classes: plain(&classes.join(", ")),
        about: plain(about),
        training: COLUMNS.into_iter().zip(cells(record)).collect(),
        step,
        rows: evaluation_rows(&judged),
        verdicts: record
            .verdicts
            .iter()
            .map(|verdict| format!("{} since step {}", verdict.failure.name(), verdict.since))
            .collect(),
        found: match record.checks {
            0 => "The run's health was not checked.".to_owned(),
            checks => {
                let checks = counted(checks, "check");
                let but =
                    if record.doubt.is_some() { ", but the images do not resemble the data" } else { "" };
                format!("{checks} of the run's health found no failure{but}.")
            }
        },
        began_trained: record.config.train.init.is_some(),
        went_back: record.went_back.as_ref().map(RollbackLine::said).unwrap_or_default(),
        data_licence: data_licence(&data),
        data,
    };
    Ok(card.render()?)
}

/// Text that is neither Markdown nor HTML, in one line.
fn plain(text: &str) -> String {
    let text = escaped(text, &[]).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let marks = ['\\', '`', '*', '_', '|', '[', ']', '{', '}', '#'];
    text.chars().flat_map(|c| marks.contains(&c).then_some('\\').into_iter().chain([c])).collect()
}

/// Licences of data sets whose authors state one.
const LICENCES: [(&str, &str); 5] = [
    ("mnist", "MNIST (Yann LeCun, Corinna Cortes, Christopher J.C. Burges), under CC BY-SA 3.0"),
    (
        "mnist-5k",
        "5,000 digits of MNIST (Yann LeCun, Corinna Cortes, Christopher J.C. Burges), under CC BY-SA 3.0",
    ),
    (
        "stacked-mnist",
        "digits of MNIST (Yann LeCun, Corinna Cortes, Christopher J.C. Burges), under CC BY-SA 3.0",
    ),
    ("fashion-mnist", "Fashion-MNIST (Zalando SE), under the MIT licence"),
    ("kmnist", "Kuzushiji-MNIST (ROIS-DS Center for Open Data in the Humanities), under CC BY-SA 4.0"),
];

fn data_licence(data: &str) -> String {
    match LICENCES.iter().find(|(name, _)| *name == data) {
        Some((_, licence)) => format!("The training images are {licence}."),
        None => format!(
            "The licence of the training images ({data}) is not known to the program that wrote this card. Say it here \
             before you publish the model."
        ),
    }
}

//! What the explorer's page asks for: images, their latents, and training pictures like them.

use super::Board;
use super::copies::{NEAREST, Training};
use super::files::{BYTES, PNG};
use super::problem::Problem;
use super::runs::stamp;
use super::view::{IMAGES, View};
use crate::commands::sample;
use crate::draw::{CHUNK, Drawing, columns};
use crate::memory::{Budget, Need};
use crate::npy;
use crate::run_dir::{self, is_own};
use anyhow::Result;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candle_core::{Device, Tensor};
use gan_data::{GridBuilder, image_png, normalize};
use gan_models::Generator;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The name, and the directory, of the generator with the smallest distance to the data.
const BEST: &str = "best";
/// Number of generators that stay in memory.
const KEPT: usize = 4;

/// Generators and training pictures that were read.
pub(super) struct Explorer {
    budget: Budget,
    /// The newest first.
    generators: Mutex<Vec<Arc<Loaded>>>,
    /// The training pictures of one run are kept, with the stamp of its configuration.
    training: Mutex<Option<(PathBuf, super::runs::Stamp, Arc<Training>)>>,
}

/// A generator, and the file that it was read from.
struct Loaded {
    file: PathBuf,
    stamp: super::runs::Stamp,
    generator: Generator,
    class_names: Vec<String>,
    directions: Vec<Vec<f32>>,
}

impl Explorer {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, generators: Mutex::default(), training: Mutex::default() }
    }

    /// The generator of a run's file, from memory if the file has not changed.
    fn generator(&self, run: &Path, file: &Path) -> Result<Arc<Loaded>> {
        let stamp = stamp(file);
        let mut kept = self.generators.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|loaded| loaded.file == file && loaded.stamp == stamp);
        let loaded = if let Some(place) = known {
            kept.remove(place)
        } else {
            let (generator, class_names) = read(run, file)?;
            self.budget.check(&Need::of_drawing(generator.config(), CHUNK, 0))?;
            let directions = generator.directions()?;
            Arc::new(Loaded { file: file.to_owned(), stamp, generator, class_names, directions })
        };
        kept.retain(|loaded| loaded.file != file);
        kept.insert(0, Arc::clone(&loaded));
        kept.truncate(KEPT);
        Ok(loaded)
    }

    /// The training pictures of a run. Those of one run stay in memory.
    fn training(&self, run: &Path, config: &crate::config::Config) -> Result<Arc<Training>> {
        let mut kept = self.training.lock().unwrap_or_else(PoisonError::into_inner);
        // Another run may take the place of this one.
        let now = stamp(&run_dir::config(run));
        if let Some((of, then, training)) = &*kept
            && (of, *then) == (&run.to_owned(), now)
        {
            return Ok(Arc::clone(training));
        }
        *kept = None;
        let training = Arc::new(Training::load(run, config)?);
        *kept = Some((run.to_owned(), now, Arc::clone(&training)));
        Ok(training)
    }
}

/// Reads a generator as `sample` does.
fn read(run: &Path, file: &Path) -> Result<(Generator, Vec<String>)> {
    let (generator, trained) = sample::load(run, file, None, &Device::Cpu)?;
    Ok((generator, trained.map(|trained| trained.class_names).unwrap_or_default()))
}

/// The files of weights of a run, by the names that the page shows. The one that `sample` draws from is the
/// first.
fn weights(run: &Path) -> Vec<(String, PathBuf)> {
    let mut all = vec![
        (BEST.to_owned(), run_dir::generator(&run.join(BEST))),
        ("average".to_owned(), run.join("ema.safetensors")),
        ("last".to_owned(), run_dir::generator(run)),
    ];
    let checkpoints = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
    let mut checkpoints: Vec<_> = checkpoints
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.to_owned();
            let step: u64 = name.strip_prefix("step-")?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect();
    checkpoints.sort_by(|a, b| b.cmp(a));
    for (step, path) in checkpoints {
        all.push((format!("average of step {step}"), path.join("ema.safetensors")));
        all.push((format!("step {step}"), run_dir::generator(&path)));
    }
    all.retain(|(_, file)| is_own(run, file));
    all
}

/// The generator that a view names.
fn chosen(board: &Board, view: &View) -> Result<Arc<Loaded>, Problem> {
    let run = board.runs.path(&view.run)?;
    let file = weights(&run).into_iter().find(|(name, _)| *name == view.weights);
    let (_, file) = file.ok_or_else(|| Problem::missing("there are no such weights (any more)"))?;
    Ok(board.explorer.generator(&run, &file)?)
}

/// The generator of a view, and the inputs of its images.
fn prepared(board: &Board, view: &View) -> Result<(Arc<Loaded>, Tensor), Problem> {
    view.check()?;
    let loaded = chosen(board, view)?;
    let inputs = view.inputs(&loaded.generator, &loaded.directions)?;
    Ok((loaded, inputs))
}

/// The images of a view, `[n, C, H, W]`, a chunk at a time.
fn images(board: &Board, view: &View) -> Result<Vec<Tensor>, Problem> {
    let (loaded, inputs) = prepared(board, view)?;
    let drawing = Drawing::of_latents(&loaded.generator, inputs)?;
    Ok(drawing.chunks().collect::<Result<Vec<_>>>()?)
}

fn parse(json: &[u8]) -> Result<View, Problem> {
    serde_json::from_slice(json).map_err(Problem::bad)
}

/// The view in the address of a download.
fn of_query(query: Option<String>) -> Result<View, Problem> {
    let query = query.unwrap_or_default();
    let view = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "view");
    parse(view.ok_or_else(|| Problem::bad("expected ?view=..."))?.1.as_bytes())
}

/// A form of another site cannot have this type.
fn of_body(headers: &HeaderMap, body: &[u8]) -> Result<View, Problem> {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return Err(Problem::bad("expected the content type application/json"));
    }
    parse(body)
}

/// The weights of a run, with what the page needs to know of them.
pub(super) async fn generators(
    State(board): State<Arc<Board>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let name = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "run");
    let name = name.ok_or_else(|| Problem::bad("expected ?run=NAME"))?.1.into_owned();
    let answer = board.compute(move |board| {
        let run = board.runs.path(&name)?;
        let mut names = weights(&run);
        // `sample` passes over a best generator that is not that of its record.
        names.retain(|(name, _)| name != BEST || run_dir::best(&run).is_some());
        let Some((_, first)) = names.first() else {
            return Err(Problem::missing(
                "this run has no weights yet: it saves them at its first checkpoint",
            ));
        };
        let loaded = board.explorer.generator(&run, first)?;
        let config = loaded.generator.config();
        let [channels, height, width] = config.image_shape();
        Ok(Json(json!({
            "weights": names.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "channels": channels, "height": height, "width": width,
            "classes": config.classes.unwrap_or(0),
            "classNames": loaded.class_names,
            "directions": loaded.directions.len(),
            "mostImages": IMAGES,
        })))
    });
    Ok(answer.await?.into_response())
}

/// Images as bytes, `[N, C, H, W]`.
pub(super) async fn draw(
    State(board): State<Arc<Board>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let view = of_body(&headers, &body)?;
    let bytes = board.compute(move |board| {
        let chunks = images(board, &view)?;
        let bytes = chunks.iter().map(normalize::from_tensor).collect::<Result<Vec<_>, _>>();
        Ok(bytes.map_err(anyhow::Error::from)?.concat())
    });
    Ok(([(CONTENT_TYPE, BYTES)], bytes.await?).into_response())
}

/// The training pictures that are nearest to the first image of a view.
pub(super) async fn nearest(
    State(board): State<Arc<Board>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let mut view = of_body(&headers, &body)?;
    view.images.truncate(1);
    let answer = board.compute(move |board| {
        let chunks = images(board, &view)?;
        let run = board.runs.path(&view.run)?;
        let record = board.runs.record(&view.run, &run)?;
        let training = board.explorer.training(&run, &record.config)?;
        let image = normalize::from_tensor(&chunks[0]).map_err(anyhow::Error::from)?;
        let found = training.nearest(&image, NEAREST).into_iter().map(|found| {
            let pixels = STANDARD.encode(training.picture(found));
            json!({ "distance": found.distance, "mirrored": found.is_mirrored, "pixels": pixels })
        });
        Ok(Json(json!({ "usual": training.usual, "nearest": found.collect::<Vec<_>>() })))
    });
    Ok(answer.await?.into_response())
}

/// A grid of the images of a view.
pub(super) async fn png(
    State(board): State<Arc<Board>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let view = of_query(query)?;
    let bytes = board.compute(move |board| {
        let chunks = images(board, &view)?;
        let count = view.images.len();
        let columns = view.columns.unwrap_or_else(|| columns(count)).min(count);
        let grid = || -> Result<Vec<u8>> {
            let (_, channels, height, width) = chunks[0].dims4()?;
            if count == 1 {
                return Ok(image_png(&chunks[0].squeeze(0)?)?);
            }
            let mut grid = GridBuilder::new(count, columns, channels, height, width)?;
            chunks.iter().try_for_each(|chunk| grid.push(chunk))?;
            Ok(grid.finish().to_png()?)
        };
        Ok((file_name(&view, "png"), grid()?))
    });
    let (name, bytes) = bytes.await?;
    Ok((named(&name, PNG), bytes).into_response())
}

/// The inputs of a view, which `sample --latents` takes.
pub(super) async fn npy(
    State(board): State<Arc<Board>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let view = of_query(query)?;
    let bytes = board.compute(move |board| {
        let (_, inputs) = prepared(board, &view)?;
        let values = || -> Result<Vec<f32>> { Ok(inputs.flatten_all()?.to_vec1::<f32>()?) };
        let bytes: Vec<u8> = values()?.into_iter().flat_map(f32::to_le_bytes).collect();
        Ok((file_name(&view, "npy"), [npy::written(inputs.dims()), bytes].concat()))
    });
    let (name, bytes) = bytes.await?;
    Ok((named(&name, BYTES), bytes).into_response())
}

/// The name of a download: the run, the seed of the first image, and the first digits of a checksum of the view,
/// so that other images have another name.
fn file_name(view: &View, extension: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let run: String = view.run.chars().map(plain).collect();
    let (seed, index, _) = view.images[0].of[0];
    let what = match (view.images.len(), view.images[0].of.len()) {
        (1, 1) => format!("image-{index}"),
        (1, _) => "mixture".to_owned(),
        (count, _) => format!("{count}-images"),
    };
    let sum = gan_files::sha256(&[format!("{view:?}").as_bytes()]);
    format!("{run}-seed-{seed}-{what}-{}.{extension}", &sum[..8])
}

/// The headers of a download.
fn named(name: &str, kind: HeaderValue) -> [(axum::http::HeaderName, HeaderValue); 2] {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    [
        (CONTENT_TYPE, kind),
        (CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment"))),
    ]
}

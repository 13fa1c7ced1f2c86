//! `gan-cli project`: the latent whose image is the nearest to a picture.

mod search;

use super::output::{self, Place};
use super::sample::{load, locate};
use crate::args;
use crate::device;
use crate::draw::CHUNK;
use crate::exit::{End, usage};
use crate::memory::{Budget, Need};
use crate::npy;
use crate::run::Plan;
use crate::run_dir;
use crate::signals::Stop;
use crate::terminal;
use anyhow::{Result, anyhow};
use candle_core::Tensor;
use gan_data::folder::{self, Background, Options, Transform};
use gan_data::{DataError, Grid, Range};
use gan_models::Provenance;
use search::{Found, Search};

pub(crate) fn run(args: &args::Project, budget: Budget) -> Result<End> {
    let latent = args.out.clone().unwrap_or_else(|| output::next_free_of("projected", &["npy", "png"]));
    if output::extension(&latent).is_none_or(|extension| extension != "npy") {
        return Err(usage(format!("--out: expected X.npy, found {}", latent.display())));
    }
    let shown = latent.with_extension("png");
    let file = locate(&args.from)?;
    super::check_exists(&args.picture)?;
    let places = [&latent, &shown].map(|path| Place::new(path.clone()));
    for place in &places {
        let out = place.path();
        run_dir::check_link(out)?;
        place.protect(&[(&args.picture, "the picture itself"), (&file, "the generator itself")])?;
        super::sample::check_outside_data(&file, out)?;
        if out.exists() && !args.replace {
            return Err(place.refused("exists already: --replace overwrites it"));
        }
    }
    let device = device::open(&args.device.device)?;
    let (generator, trained) = load(&args.from, &file, args.config.as_deref(), &device)?;
    budget.check(&Need::of_drawing(generator.config(), CHUNK, 0))?;
    let transform = transform(&args.cut, trained.as_ref());
    let [channels, side, _] = generator.config().image_shape();
    let options = Options { transform, ..Options::new(side, channels) };
    let picture = folder::load_one(&args.picture, &options).map_err(|error| match error {
        DataError::Pictures { broken, .. } => {
            let problem = broken.into_iter().next().map(|picture| picture.problem).unwrap_or_default();
            anyhow!("{}: {problem}", args.picture.display())
        }
        error => error.into(),
    })?;
    let mut tensors = picture.tensors(1, 1, channels, Range::MinusOneOne, &device);
    let Some(picture) = tensors.next().transpose()? else { return Ok(End::Done) };
    let names = trained.map(|trained| trained.class_names).unwrap_or_default();
    let class = args.class.as_ref().map(|class| class.one(&generator, &names)).transpose()?;
    let stop = Stop::on_signals()?;
    let search =
        Search { generator: &generator, picture: &picture, class, seed: args.seed, steps: args.steps };
    let found = search.run(&stop)?;
    write(&found, &picture, places, &stop)?;
    let class = found.class.map_or(String::new(), |class| {
        let name =
            names.get(usize::from(class)).map_or(class.to_string(), |name| terminal::escaped(name, &[]));
        format!(", class {name}")
    });
    tracing::info!(
        "the image differs by {:.1} from the picture (root mean square of pixels from 0 to 255; {:.1} before the \
         search){class}",
        found.after,
        found.before
    );
    tracing::info!("its latent in {}, both pictures in {}", latent.display(), shown.display());
    Ok(End::Done)
}

/// What happens to the picture before it is resized: what happened to the training pictures, unless options say
/// something else.
fn transform(cut: &args::PictureCut, trained: Option<&Provenance>) -> Transform {
    let of_pictures = |key: &str| Some(&**trained?.settings.get(key)?);
    let (crop, background) = cut.or_of(trained);
    if let Some(prepared) = of_pictures(Plan::CROP).filter(|_| crop.is_none()) {
        tracing::info!(
            "the training pictures were cut by `data prepare --crop {}`: if this one was not, --crop cuts it in the same \
             way",
            terminal::escaped(prepared, &[])
        );
    }
    let background = match background {
        None | Some(Background::Mean) => {
            let known = of_pictures(Plan::GROUND).and_then(|color| color.parse().ok());
            if background.is_some() && known.is_none() {
                tracing::warn!(
                    "transparent parts get the mean colour of this picture, as the generator's file does not tell that \
                     of its training pictures: --background says another"
                );
            }
            known.or(background)
        }
        color => color,
    };
    Transform { crop: crop.unwrap_or_default(), background }
}

fn write(found: &Found, picture: &Tensor, [latent, shown]: [Place; 2], stop: &Stop) -> Result<()> {
    let values = found.input.flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
    let bytes = [npy::written(found.input.dims()), bytes].concat();
    let pictures = Grid::new(&Tensor::cat(&[picture, &found.image], 0)?, 2)?.to_png()?;
    output::prepare_parent(latent.path())?;
    output::write_together(&[(latent, &bytes), (shown, &pictures)], stop)
}

//! All metrics of a set of generated images, compared with real images. The work on the real
//! images is done only once.

use crate::bins::{Bins, Clusters};
use crate::classes::{class_counts, score};
use crate::frechet::{Moments, frechet_distance};
use crate::kid::kid_of_rows;
use crate::sample::evenly_spaced;
use crate::{
    Accuracy, Classes, Kid, KidConfig, Manifold, Memorisation, Modes, Result, Sample, TrainingImages,
};
use serde::{Deserialize, Serialize};

/// Number of nearest neighbours for a [`Manifold`] here, as in Kynkäänniemi et al. 2019.
pub const NEIGHBOURS: usize = 3;

/// Real images, and everything that an evaluation needs of them. It does not depend on the
/// generated images.
#[derive(Debug)]
pub struct Reference {
    train: Sample,
    held_out: Sample,
    moments: Moments,
    manifold: Manifold,
    groups: Groups,
    training_images: Option<TrainingImages>,
}

/// Groups of similar images, and the number of real images in each of them.
#[derive(Debug)]
enum Groups {
    /// The classes of a classifier.
    Classes(Vec<u64>),
    /// Bins, if the features know no classes.
    Bins(Clusters, Vec<u64>),
}

/// Every metric of a set of images. The functions of the same names explain them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of images.
    pub count: usize,
    /// [`frechet_distance`] of the features.
    pub frechet_distance: f64,
    /// [`crate::kid()`] with [`KidConfig::default`].
    pub kid: Kid,
    /// [`crate::classifier_score`]. It is `None` if the features know no classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier_score: Option<f64>,
    /// [`crate::Overlap::precision`]. Like the next three, it uses [`NEIGHBOURS`] neighbours.
    pub precision: f64,
    /// [`crate::Overlap::recall`].
    pub recall: f64,
    /// [`crate::Overlap::density`].
    pub density: f64,
    /// [`crate::Overlap::coverage`].
    pub coverage: f64,
    /// The classes of the images, compared with the classes of the training images. They are `None`
    /// if the features know no classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// The bins of the images, compared with those of the training images, if the features know no
    /// classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Bins>,
    /// Share of the images that show the class of their label. It is `None` if the images have no
    /// labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Accuracy>,
    /// The modes of the images. They are `None` if the digits of the images are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modes: Option<Modes>,
    /// Distances to the training images. They are `None` if the training images are not known or
    /// the sample came without its images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memorisation: Option<Memorisation>,
}

impl Reference {
    /// `train` is the set with which generated images are compared. `held_out` is from the same
    /// distribution, and its own evaluation is the floor ([`Self::floor`]). Most of the work is to
    /// compare the images of `train` with each other.
    ///
    /// # Errors
    /// At most [`NEIGHBOURS`] images; sets whose features or classes differ in size.
    pub fn new(train: Sample, held_out: Sample) -> Result<Self> {
        train.check_fits(&held_out)?;
        let groups = if let Some(probabilities) = &train.probabilities {
            Groups::Classes(class_counts(probabilities))
        } else {
            let clusters = Clusters::of_rows(&train.features)?;
            let counts = clusters.count_rows(&train.features)?;
            Groups::Bins(clusters, counts)
        };
        Ok(Self {
            moments: Moments::of_rows(&train.features),
            manifold: Manifold::of_rows(train.features.clone(), NEIGHBOURS)?,
            groups,
            training_images: None,
            held_out,
            train,
        })
    }

    /// Makes the evaluation also search for copies of training images. This works for samples that
    /// come with their images.
    #[must_use]
    pub fn with_training_images(self, images: TrainingImages) -> Self {
        Self { training_images: Some(images), ..self }
    }

    /// Evaluates generated images. It leaves out the metrics for which the sample has no data.
    /// Without images there is no `memorisation`. During training the samples have no images,
    /// because this metric costs the most.
    ///
    /// # Errors
    /// At most [`NEIGHBOURS`] images; features, classes or images of another size than the
    /// reference's.
    pub fn evaluate(&self, sample: &Sample) -> Result<Evaluation> {
        self.train.check_fits(sample)?;
        let memorisation = match (&self.training_images, &sample.images) {
            (Some(training), Some(images)) => Some(training.copies(images)?),
            _ => None,
        };
        self.judge(sample, memorisation)
    }

    /// Evaluates at most `count` of the held-out images in the same way. A perfect generator of
    /// new images would get these numbers with as many images.
    ///
    /// # Errors
    /// A `count` of at most [`NEIGHBOURS`], or as few held-out images.
    pub fn floor(&self, count: usize) -> Result<Evaluation> {
        let chosen = evenly_spaced(self.held_out.count(), count);
        let memorisation = self.training_images.as_ref().map(|training| training.floor(count)).transpose()?;
        self.judge(&self.held_out.select(&chosen)?, memorisation)
    }

    fn judge(&self, sample: &Sample, memorisation: Option<Memorisation>) -> Result<Evaluation> {
        let (classes, bins) = match (&self.groups, &sample.probabilities) {
            (Groups::Classes(counts), Some(probabilities)) => {
                (Some(Classes::compare(&class_counts(probabilities), counts)), None)
            }
            (Groups::Bins(clusters, counts), _) => {
                (None, Some(Bins::compare(&clusters.count_rows(&sample.features)?, counts)))
            }
            (Groups::Classes(_), None) => (None, None),
        };
        let accuracy = |labels| sample.probabilities.as_ref().map(|rows| Accuracy::of(rows, labels));
        let overlap = self.manifold.overlap(&Manifold::of_rows(sample.features.clone(), NEIGHBOURS)?)?;
        Ok(Evaluation {
            count: sample.count(),
            frechet_distance: frechet_distance(&Moments::of_rows(&sample.features), &self.moments)?,
            kid: kid_of_rows(&self.train.features, &sample.features, &KidConfig::default())?,
            classifier_score: sample.probabilities.as_ref().map(score),
            precision: overlap.precision,
            recall: overlap.recall,
            density: overlap.density,
            coverage: overlap.coverage,
            classes,
            bins,
            accuracy: sample.labels.as_deref().and_then(accuracy),
            modes: sample.digits.as_deref().map(Modes::of).transpose()?,
            memorisation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, Device, Tensor};
    use gan_ops::rng::Stream;

    fn tensors(index: u64, count: usize) -> [Tensor; 3] {
        let draw =
            |purpose, width| Stream::new(0, purpose, index).normal((count, width), &Device::Cpu).unwrap();
        let probabilities = candle_nn::ops::softmax(&draw("logits", 10), D::Minus1).unwrap();
        [draw("features", 6), probabilities, draw("images", 30)]
    }

    fn sample(index: u64, count: usize) -> Sample {
        let [features, probabilities, images] = tensors(index, count);
        Sample::new(&features, &probabilities).unwrap().with_images(&images).unwrap()
    }

    fn reference(train: usize, held_out: usize) -> Result<Reference> {
        let images = TrainingImages::new(&tensors(0, train)[2], &tensors(1, held_out)[2])?;
        Ok(Reference::new(sample(0, train), sample(1, held_out))?.with_training_images(images))
    }

    #[test]
    fn the_training_images_are_perfect_and_copied() -> Result<()> {
        let reference = reference(300, 100)?;
        let copied = reference.evaluate(&sample(0, 300))?;
        assert_eq!((copied.count, copied.modes), (300, None));
        assert!(copied.frechet_distance < 1e-6);
        let perfect = Evaluation { precision: 1., recall: 1., density: 1., coverage: 1., ..copied.clone() };
        assert_eq!(copied, perfect);
        let classes = copied.classes.unwrap();
        assert_eq!((classes.kl, classes.covered, copied.bins), (0., classes.of, None));
        let memorisation = copied.memorisation.unwrap();
        assert_eq!((memorisation.median, memorisation.copied), (0., 1.));
        let fresh = reference.evaluate(&sample(2, 300))?.memorisation.unwrap();
        assert!(fresh.copied < 0.05 && fresh.median > 1., "{fresh:?}");
        Ok(())
    }

    #[test]
    fn the_floor_is_the_evaluation_of_held_out_images() -> Result<()> {
        let held_out = sample(1, 100);
        let reference = reference(300, 100)?;
        assert_eq!(reference.floor(1000)?, reference.evaluate(&held_out)?);
        assert_eq!(reference.floor(40)?, reference.evaluate(&held_out.take(40)?)?);
        assert!((reference.floor(1000)?.memorisation.unwrap().copied - 0.01).abs() < 1e-12);
        assert!(reference.floor(3).is_err());
        Ok(())
    }

    #[test]
    fn what_a_sample_lacks_is_not_judged() -> Result<()> {
        let [features, probabilities, _] = tensors(2, 50);
        let bare = Sample::new(&features, &probabilities)?;
        let reference = reference(100, 50)?;
        let found = reference.evaluate(&bare)?;
        assert_eq!(found, Evaluation { memorisation: None, ..reference.evaluate(&sample(2, 50))? });
        let digits = vec![[1, 2, 3]; 50];
        assert_eq!(reference.evaluate(&bare.clone().with_digits(digits)?)?.modes.unwrap().covered, 1);

        let seen: Vec<u16> =
            probabilities.argmax(1)?.to_vec1::<u32>()?.into_iter().map(|class| class as u16).collect();
        let mut labels = seen.clone();
        labels[7] = (seen[7] + 1) % 10;
        let accuracy = reference.evaluate(&bare.clone().with_labels(labels)?)?.accuracy.unwrap();
        assert!((accuracy.overall - 0.98).abs() < 1e-9, "{}", accuracy.overall);
        let below_one = accuracy.of_classes.iter().flatten().filter(|share| **share < 1.).count();
        assert_eq!(below_one, 1);
        assert!(
            bare.clone().with_labels(vec![10; 50]).is_err()
                && bare.clone().with_labels(seen[1..].to_vec()).is_err()
        );

        let json = serde_json::to_value(&found).unwrap();
        assert!(json.get("modes").is_none() && json["classifier_score"].is_f64());
        assert_eq!(json["classes"]["shares"].as_array().unwrap().len(), 10);
        assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), found);

        let bare_reference = Reference::new(bare.clone(), bare)?;
        assert!(bare_reference.evaluate(&sample(2, 50))?.memorisation.is_none());
        Ok(())
    }

    #[test]
    fn without_classes_there_are_bins() -> Result<()> {
        let bare = |index, count| Sample::without_classes(&tensors(index, count)[0]);
        let reference = Reference::new(bare(0, 300)?, bare(1, 100)?)?;
        let found = reference.evaluate(&bare(2, 100)?)?;
        let with_classes = self::reference(300, 100)?.evaluate(&sample(2, 100))?;
        let same = found.frechet_distance - with_classes.frechet_distance;
        assert!(same.abs() < 1e-12, "{same}");
        assert_eq!((found.classifier_score, &found.classes, &found.accuracy), (None, &None, &None));
        let bins = found.bins.clone().unwrap();
        assert_eq!((bins.of, bins.shares.len()), (6, 6));
        assert!(bins.different <= 1 && (bins.shares.iter().sum::<f64>() - 1.).abs() < 1e-9, "{bins:?}");
        let json = serde_json::to_value(&found).unwrap();
        assert!(json.get("classes").is_none() && json.get("classifier_score").is_none());
        assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), found);
        assert!(reference.evaluate(&sample(2, 100)).is_err());
        assert!(Reference::new(bare(0, 300)?, sample(1, 100)).is_err());
        Ok(())
    }

    #[test]
    fn samples_made_in_another_way_are_refused() -> Result<()> {
        let reference = reference(100, 50)?;
        let [features, probabilities, images] = tensors(2, 50);
        let other_features = Sample::new(&features.narrow(1, 0, 3)?, &probabilities)?;
        let other_classes = Sample::new(&features, &candle_nn::ops::softmax(&features, D::Minus1)?)?;
        let other_images = Sample::new(&features, &probabilities)?.with_images(&images.narrow(1, 0, 9)?)?;
        for other in [other_features, other_classes, other_images] {
            assert!(reference.evaluate(&other).is_err());
            assert!(other.images.is_some() || Reference::new(sample(0, 100), other).is_err());
        }
        assert!(reference.evaluate(&sample(2, 3)).is_err());
        assert!(Reference::new(sample(0, 3), sample(1, 50)).is_err());
        Ok(())
    }
}

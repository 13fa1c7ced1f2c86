//! A set of images in the form that the metrics use.

use crate::classes::{classes, probability_rows};
use crate::rows::Rows;
use crate::{MetricsError, Result};
use candle_core::Tensor;

/// A set of images: their features, a classifier's probabilities if there is a classifier, and for
/// some metrics the images themselves.
#[derive(Debug, Clone)]
pub struct Sample {
    pub(crate) features: Rows,
    pub(crate) probabilities: Option<Rows>,
    pub(crate) images: Option<Rows>,
    pub(crate) digits: Option<Vec<[u8; 3]>>,
    pub(crate) labels: Option<Vec<u16>>,
}

impl Sample {
    /// Takes `features: [N, D]` and `probabilities: [N * channels, K]`, both f32. The probabilities
    /// are the classifier's softmax for each channel, and the channels of an image are consecutive
    /// rows. N is at least 2. Tensors on the CPU are kept without a copy.
    ///
    /// # Errors
    /// If types, ranks or numbers of rows are different, a number is not finite, or a row does not
    /// contain probabilities.
    pub fn new(features: &Tensor, probabilities: &Tensor) -> Result<Self> {
        let features = Rows::new("features", features, 2)?;
        let probabilities = probability_rows(probabilities)?;
        if !probabilities.count().is_multiple_of(features.count()) {
            let expected = format!("rows for each of {} images", features.count());
            return Err(MetricsError::input("probabilities", expected, probabilities.count()));
        }
        let probabilities = Some(probabilities);
        Ok(Self { probabilities, ..Self::of(features) })
    }

    /// Takes `features: [N, D]`, f32, that know no classes. N is at least 2. The metrics of classes
    /// are then left out, and those of bins take their place.
    ///
    /// # Errors
    /// If type or rank are different, or a number is not finite.
    pub fn without_classes(features: &Tensor) -> Result<Self> {
        Ok(Self::of(Rows::new("features", features, 2)?))
    }

    fn of(features: Rows) -> Self {
        Self { features, probabilities: None, images: None, digits: None, labels: None }
    }

    /// Adds the images, `[N, ...]` f32 in [-1, 1]. Memorisation can only be measured with them.
    ///
    /// # Errors
    /// If the type or the number of images is different, or a pixel is not finite.
    pub fn with_images(self, images: &Tensor) -> Result<Self> {
        let images = Rows::new("images", &images.flatten_from(1)?, 1)?;
        self.check_count("images", images.count())?;
        Ok(Self { images: Some(images), ..self })
    }

    /// Adds the classes of the channels of N stacks of digits. Modes can only be counted with them.
    ///
    /// # Errors
    /// If the number of images is different, or a class is above 9.
    pub fn with_digits(self, digits: Vec<[u8; 3]>) -> Result<Self> {
        self.check_count("digits", digits.len())?;
        if let Some(digit) = digits.iter().flatten().find(|&&digit| digit > 9) {
            return Err(MetricsError::input("digits", "0 to 9", digit));
        }
        Ok(Self { digits: Some(digits), ..self })
    }

    /// Like [`Self::with_digits`], with the digits that the classifier recognizes in the three
    /// channels.
    ///
    /// # Errors
    /// If the images do not have three channels, or there is no classifier with ten classes.
    pub fn with_seen_digits(self) -> Result<Self> {
        let probabilities = self.probabilities()?;
        let (rows, width) = (probabilities.count(), probabilities.width());
        if (rows, width) != (3 * self.count(), 10) {
            let expected = format!("10 for each of 3 channels of {} images", self.count());
            return Err(MetricsError::input("probabilities", expected, format!("{rows} rows of {width}")));
        }
        let seen: Vec<u8> = classes(probabilities).into_iter().map(|class| class as u8).collect();
        let digits = seen.as_chunks().0.to_vec();
        self.with_digits(digits)
    }

    /// Adds the class of each of the N images, or the class requested from the generator. Accuracy
    /// can only be measured with them.
    ///
    /// # Errors
    /// If the number of images is different, or there is no classifier with such a class.
    pub fn with_labels(self, labels: Vec<u16>) -> Result<Self> {
        self.check_count("labels", labels.len())?;
        let classes = self.probabilities()?.width();
        if let Some(label) = labels.iter().find(|&&label| usize::from(label) >= classes) {
            return Err(MetricsError::input("labels", format!("0 to {}", classes - 1), label));
        }
        Ok(Self { labels: Some(labels), ..self })
    }

    /// Number of images.
    #[must_use]
    pub fn count(&self) -> usize {
        self.features.count()
    }

    /// Returns at most `count` of the sample's images. They are evenly spaced, so that no part of
    /// a sorted set is missing.
    ///
    /// # Errors
    /// If `count` is below 2.
    pub fn take(&self, count: usize) -> Result<Self> {
        self.select(&evenly_spaced(self.count(), count))
    }

    pub(crate) fn select(&self, indices: &[u32]) -> Result<Self> {
        if indices.len() < 2 {
            return Err(MetricsError::input("images", "at least 2", indices.len()));
        }
        let of_channels = |probabilities: &Rows| {
            let channels = (probabilities.count() / self.count()) as u32;
            let rows = indices.iter().flat_map(|index| index * channels..(index + 1) * channels);
            probabilities.select(&rows.collect::<Vec<_>>())
        };
        Ok(Self {
            features: self.features.select(indices)?,
            probabilities: self.probabilities.as_ref().map(of_channels).transpose()?,
            images: self.images.as_ref().map(|images| images.select(indices)).transpose()?,
            digits: self
                .digits
                .as_ref()
                .map(|digits| indices.iter().map(|&index| digits[index as usize]).collect()),
            labels: self
                .labels
                .as_ref()
                .map(|labels| indices.iter().map(|&index| labels[index as usize]).collect()),
        })
    }

    /// Returns an error if the other sample has features or classes of another size.
    pub(crate) fn check_fits(&self, other: &Self) -> Result<()> {
        other.features.check_width("features", self.features.width())?;
        match (&self.probabilities, &other.probabilities) {
            (Some(own), Some(other)) => other.check_width("probabilities", own.width()),
            (None, None) => Ok(()),
            (Some(own), None) => {
                Err(MetricsError::input("probabilities", format!("rows of {}", own.width()), "none"))
            }
            (None, Some(other)) => {
                Err(MetricsError::input("probabilities", "none", format!("rows of {}", other.width())))
            }
        }
    }

    fn probabilities(&self) -> Result<&Rows> {
        let probabilities = self.probabilities.as_ref();
        probabilities.ok_or_else(|| MetricsError::input("probabilities", "those of a classifier", "none"))
    }

    fn check_count(&self, what: &'static str, count: usize) -> Result<()> {
        if count == self.count() {
            return Ok(());
        }
        Err(MetricsError::input(what, format!("{} images", self.count()), count))
    }
}

/// At most `count` evenly spaced numbers below `of`.
pub(crate) fn evenly_spaced(of: usize, count: usize) -> Vec<u32> {
    let count = count.min(of);
    (0..count).map(|i| (i * of / count) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn ramp(rows: usize, width: usize) -> Tensor {
        Tensor::arange(0f32, (rows * width) as f32, &Device::Cpu).unwrap().reshape((rows, width)).unwrap()
    }

    fn uniform(rows: usize) -> Tensor {
        Tensor::full(0.25f32, (rows, 4), &Device::Cpu).unwrap()
    }

    #[test]
    fn takes_evenly_spaced_images_with_all_that_is_known_of_them() -> Result<()> {
        let sure: Vec<_> =
            (0..30u32).flat_map(|i| (0..3).map(move |k| f32::from(u8::from(i % 3 == k)))).collect();
        let probabilities = Tensor::from_vec(sure, (30, 3), &Device::Cpu)?;
        let sample = Sample::new(&ramp(10, 2), &probabilities)?
            .with_images(&ramp(10, 12).reshape((10, 3, 2, 2))?)?
            .with_digits((0..10).map(|digit| [digit, 0, 9]).collect())?;
        assert_eq!(sample.take(100)?.features.values()[..], sample.features.values()[..]);
        let taken = sample.take(4)?; // images 0, 2, 5 and 7
        assert_eq!(taken.count(), 4);
        assert_eq!(taken.features.values()[..], [0., 1., 4., 5., 10., 11., 14., 15.]);
        let [all, some] = [&sample, &taken].map(|sample| sample.probabilities().unwrap());
        assert_eq!(some.count(), 12);
        assert_eq!(some.values()[9 * 3..], all.values()[21 * 3..24 * 3]);
        assert_eq!(taken.images.unwrap().values()[12..24], ramp(10, 12).to_vec2::<f32>()?[2]);
        assert_eq!(taken.digits.unwrap(), [[0, 0, 9], [2, 0, 9], [5, 0, 9], [7, 0, 9]]);
        assert!(sample.take(1).is_err());
        Ok(())
    }

    #[test]
    fn digits_are_what_the_classifier_sees_in_each_channel() -> Result<()> {
        let seen = [[7u8, 0, 9], [1, 1, 2]];
        let row = |digit: u8| (0..10).map(move |class| if class == digit { 0.55f32 } else { 0.05 });
        let values: Vec<_> = seen.as_flattened().iter().flat_map(|&digit| row(digit)).collect();
        let probabilities = Tensor::from_vec(values, (6, 10), &Device::Cpu)?;
        assert_eq!(Sample::new(&ramp(2, 3), &probabilities)?.with_seen_digits()?.digits.unwrap(), seen);
        let gray = Sample::new(&ramp(6, 3), &probabilities)?.with_seen_digits().unwrap_err().to_string();
        let expected = "expected 10 for each of 3 channels of 6 images, found 6 rows of 10";
        assert_eq!(gray, format!("probabilities: {expected}"));
        assert!(Sample::new(&ramp(4, 2), &uniform(12))?.with_seen_digits().is_err());
        Ok(())
    }

    #[test]
    fn what_does_not_belong_together() -> Result<()> {
        let sample = || Sample::new(&ramp(4, 2), &uniform(4)).unwrap();
        assert!(Sample::new(&ramp(1, 2), &uniform(1)).is_err());
        let message = Sample::new(&ramp(4, 2), &uniform(6)).unwrap_err().to_string();
        assert_eq!(message, "probabilities: expected rows for each of 4 images, found 6");
        assert!(Sample::new(&ramp(4, 2), &ramp(4, 4)).is_err());
        assert!(Sample::new(&(ramp(4, 2) * f64::NAN)?, &uniform(4)).is_err());
        assert!(sample().with_images(&ramp(3, 9)).is_err());
        assert!(sample().with_images(&(ramp(4, 9) / 0.)?).is_err());
        assert!(sample().with_digits(vec![[0; 3]; 3]).is_err());
        assert!(sample().with_digits(vec![[10; 3]; 4]).is_err());
        let bare = || Sample::without_classes(&ramp(4, 2)).unwrap();
        let message = bare().with_labels(vec![0; 4]).unwrap_err().to_string();
        assert_eq!(message, "probabilities: expected those of a classifier, found none");
        assert!(bare().with_seen_digits().is_err() && Sample::without_classes(&ramp(1, 2)).is_err());
        assert!(sample().check_fits(&bare()).is_err() && bare().check_fits(&sample()).is_err());
        bare().take(3)?.check_fits(&bare())
    }
}

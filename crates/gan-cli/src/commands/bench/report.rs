//! The result of a benchmark, as a line of JSON or as a table.

use crate::terminal::{counted, escaped};
use serde::{Serialize, Serializer};

/// The fields are also those of the JSON. Each name contains the unit.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) config: String,
    pub(super) batch: usize,
    pub(super) steps: u32,
    pub(super) threads: usize,
    /// Median time of a step.
    pub(super) step_ms: f64,
    pub(super) step_ms_min: f64,
    pub(super) images_per_s: f64,
    /// Floating-point operations of a step, in 10^9.
    pub(super) gflop: f64,
    pub(super) gflops: f64,
    /// Speed of a large matrix product on the same threads. `None` if the device is not the CPU.
    pub(super) sgemm_gflops: Option<f64>,
    /// It can exceed 100 if an algorithm needs fewer operations than are counted.
    pub(super) percent_of_sgemm: Option<f64>,
    /// Peak memory of training, measured before anything else ran. `None` if the system does not
    /// report it.
    pub(super) peak_rss_mib: Option<f64>,
    pub(super) phases: Phases,
    /// Time to assemble a batch from images in memory as bytes. It is not part of the step.
    pub(super) batch_assembly_ms: f64,
    pub(super) sample_images_per_s: Option<f64>,
    pub(super) d_loss: f32,
    pub(super) g_loss: f32,
}

/// Median milliseconds of each part of a step, in order.
#[derive(Debug, Default)]
pub(super) struct Phases(pub(super) Vec<(&'static str, f64)>);

impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Rounds to four decimals. This is a tenth of a microsecond if the unit is a millisecond.
pub(super) fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, batch, steps, threads, step_ms, step_ms_min, images_per_s, .. } = self;
        let (threads, steps) = (counted(*threads, "thread"), counted(*steps, "step"));
        let config = escaped(config, &[]);
        writeln!(f, "{config}: batch {batch}, {threads}, {steps} on random images in memory")?;
        writeln!(f, "  step      {step_ms:.3} ms (least {step_ms_min:.3}), {images_per_s:.0} images/s")?;
        write!(f, "  compute   {:.2} GFLOP a step, {:.1} GFLOP/s", self.gflop, self.gflops)?;
        match (self.percent_of_sgemm, self.sgemm_gflops) {
            (Some(percent), Some(sgemm)) => {
                writeln!(f, ", {percent:.0}% of a large matrix product's {sgemm:.1}")?;
            }
            _ => writeln!(f)?,
        }
        if let Some(peak) = self.peak_rss_mib {
            writeln!(f, "  memory    {peak:.0} MiB at most")?;
        }
        if let Some(rate) = self.sample_images_per_s {
            writeln!(f, "  sampling  {rate:.0} images/s")?;
        }
        writeln!(f, "  batches   {:.3} ms to assemble one, not in the step", self.batch_assembly_ms)?;
        writeln!(f, "  losses    d_loss {:.3}, g_loss {:.3}", self.d_loss, self.g_loss)?;
        writeln!(f, "\nphase                        ms       %")?;
        for (phase, ms) in &self.phases.0 {
            writeln!(f, "  {phase:<22} {ms:>7.3}  {:>6.1}", 100. * ms / self.step_ms)?;
        }
        Ok(())
    }
}

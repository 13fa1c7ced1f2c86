//! What to try against a failure.

use super::Failure;

/// Something that helps against a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remedy {
    /// It names the keys of the configuration.
    pub text: &'static str,
    /// The keys that it sets, with their values in TOML. Without a value, it is enough that a key is there that
    /// begins so. A remedy that changes a number by an unknown amount sets none.
    pub sets: &'static [(&'static str, Option<&'static str>)],
}

impl Remedy {
    const fn of(text: &'static str) -> Self {
        Self { text, sets: &[] }
    }
}

impl Failure {
    /// What helps, the usual remedy first.
    #[must_use]
    pub fn remedies(self) -> &'static [Remedy] {
        match self {
            Self::ModeCollapse => MODE_COLLAPSE,
            Self::MissingModes => MISSING_MODES,
            Self::DiscriminatorWon => DISCRIMINATOR_WON,
            Self::VanishingGradients => VANISHING_GRADIENTS,
            Self::GeneratorFrozen => GENERATOR_FROZEN,
            Self::DiscriminatorFrozen => DISCRIMINATOR_FROZEN,
            Self::NonConvergence => NON_CONVERGENCE,
            Self::Oscillation => OSCILLATION,
            Self::Divergence => DIVERGENCE,
            Self::RangeMismatch => RANGE_MISMATCH,
            Self::Memorisation => MEMORISATION,
        }
    }

    /// The remedies in one sentence. `has` says which of them a run has already. Those are left out, as long
    /// as others remain.
    #[must_use]
    pub fn advice(self, has: impl Fn(&Remedy) -> bool) -> String {
        let all = self.remedies();
        let mut texts: Vec<_> = all.iter().filter(|remedy| !has(remedy)).map(|remedy| remedy.text).collect();
        if texts.is_empty() {
            texts.extend(all.iter().map(|remedy| remedy.text));
        }
        match &texts[..] {
            [] => String::new(),
            [one] => (*one).to_owned(),
            [one, other] => format!("{one}, or {other}"),
            [most @ .., last] => format!("{}, or {last}", most.join(", ")),
        }
    }
}

const LEAKY_MLP: Remedy = Remedy {
    text: "model.generator.activation = \"leaky-relu\" in an MLP",
    sets: &[("model.generator.activation", Some("\"leaky-relu\""))],
};
const LOWER_RATES: Remedy = Remedy::of("a lower train.generator.lr and train.discriminator.lr");

const MODE_COLLAPSE: &[Remedy] = &[
    LEAKY_MLP,
    LOWER_RATES,
    Remedy {
        text: "train.generator.betas = [0.5, 0.999]",
        sets: &[("train.generator.betas", Some("[0.5, 0.999]"))],
    },
    Remedy {
        text: "train.loss = \"relativistic\" with train.r1 and train.r2 (the configuration mnist-fast)",
        sets: &[("train.loss", Some("\"relativistic\"")), ("train.r1.", None), ("train.r2.", None)],
    },
    Remedy { text: "model.discriminator.pack = 2", sets: &[("model.discriminator.pack", Some("2"))] },
];

const MISSING_MODES: &[Remedy] = &[
    Remedy::of("more steps (train.steps, train.epochs)"),
    Remedy::of("a lower train.generator.lr"),
    Remedy::of("wider model.discriminator.widths"),
];

const DISCRIMINATOR_WON: &[Remedy] = &[
    LEAKY_MLP,
    Remedy::of("a train.discriminator.lr of a half or a quarter of train.generator.lr"),
    Remedy::of("narrower model.discriminator.widths"),
    Remedy { text: "train.r1", sets: &[("train.r1.", None)] },
    Remedy { text: "train.instance-noise", sets: &[("train.instance-noise", None)] },
    Remedy::of("more data"),
];

const VANISHING_GRADIENTS: &[Remedy] = &[
    Remedy { text: "train.loss = \"non-saturating\"", sets: &[("train.loss", Some("\"non-saturating\""))] },
    Remedy::of("a lower train.discriminator.lr"),
];

const GENERATOR_FROZEN: &[Remedy] = &[
    Remedy::of("a higher train.generator.lr (2e-4 is usual)"),
    Remedy {
        text: "model.generator.activation = \"leaky-relu\"",
        sets: &[("model.generator.activation", Some("\"leaky-relu\""))],
    },
];

const DISCRIMINATOR_FROZEN: &[Remedy] = &[
    Remedy::of("a higher train.discriminator.lr (2e-4 is usual)"),
    Remedy {
        text: "model.discriminator.activation = \"leaky-relu\"",
        sets: &[("model.discriminator.activation", Some("\"leaky-relu\""))],
    },
];

const NON_CONVERGENCE: &[Remedy] = &[
    Remedy::of("a higher train.generator.lr and train.discriminator.lr (2e-4 is usual)"),
    Remedy::of("wider model.generator.widths"),
];

const OSCILLATION: &[Remedy] =
    &[LOWER_RATES, Remedy::of("a lower first number of their betas (0.5 is usual)")];

const DIVERGENCE: &[Remedy] =
    &[Remedy::of("a lower train.generator.lr and train.discriminator.lr (2e-4 is usual)")];

const RANGE_MISMATCH: &[Remedy] =
    &[Remedy { text: "data.range = \"minus-one-one\"", sets: &[("data.range", Some("\"minus-one-one\""))] }];

const MEMORISATION: &[Remedy] = &[
    Remedy::of("more images"),
    Remedy { text: "train.augment", sets: &[("train.augment.", None)] },
    Remedy::of("narrower model.generator.widths"),
    Remedy::of("fewer steps (train.steps)"),
];

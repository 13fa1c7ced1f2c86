//! PyTorch: a program that builds a network of plain `torch.nn` modules and loads its weights. It does not
//! need this project.

use gan_models::{Convolution, Distribution, Layer, ModelConfig};
use std::fmt::Write as _;

/// Classes that `torch.nn` does not have, in the order in which a program defines them.
const CLASSES: [(&str, &str); 3] = [
    (
        "PixelNorm",
        "class PixelNorm(nn.Module):
    \"\"\"Divides each pixel's channels by the root of their mean square (Karras et al. 2018, arXiv 1710.10196).\"\"\"

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)
",
    ),
    (
        "MinibatchStd",
        "class MinibatchStd(nn.Module):
    \"\"\"Adds a channel with the deviation over groups of samples (Karras et al. 2018, arXiv 1710.10196).\"\"\"

    def __init__(self, group):
        super().__init__()
        self.group = group

    def forward(self, x):
        y = x.reshape(self.group, -1, *x.shape[1:])
        y = ((y - y.mean(0)).square().mean(0) + 1e-8).sqrt().flatten(1).mean(1)
        y = y.repeat(self.group).view(-1, *[1] * (x.dim() - 1)).expand(-1, 1, *x.shape[2:])
        return torch.cat([x, y], 1)
",
    ),
    (
        "Residual",
        "class Residual(nn.Module):
    \"\"\"The sum of a body and a shortcut (He et al. 2016, arXiv 1512.03385).\"\"\"

    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = nn.Sequential(*body), nn.Sequential(*shortcut)

    def forward(self, x):
        return self.body(x) + self.shortcut(x)
",
    ),
];

/// The program for a generator. `about` says where its weights come from, in one line, and `weights` is the
/// name of their file.
pub(crate) fn generator(config: &ModelConfig, about: &str, weights: &str) -> String {
    let [channels, height, width] = config.image_shape();
    let (latents, input) = (config.latent_dim, sides(&config.generator_input()));
    let (argument, label) = match config.classes {
        Some(classes) => (
            ", classes",
            format!("        z = torch.cat([z, nn.functional.one_hot(classes, {classes}).to(z)], 1)\n"),
        ),
        None => ("", String::new()),
    };
    let z = match config.latent {
        Distribution::Normal => format!("torch.randn(8, {latents})"),
        Distribution::Uniform => format!("torch.rand(8, {latents}) * 2 - 1"),
    };
    let of_class = config.classes.map_or(String::new(), |classes| format!(", torch.arange(8) % {classes}"));
    let takes = if config.classes.is_some() { " and classes [N]" } else { "" };
    let body = format!(
        "class Generator(nn.Module):
    \"\"\"Latents [N, {latents}]{takes} to images [N, {channels}, {height}, {width}] in [-1, 1].\"\"\"

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
{}        )

    def forward(self, z{argument}):
{label}        return self.model(z.view(-1, {input})).view(-1, {channels}, {height}, {width})
",
        list(&config.generator_layers(), 12)
    );
    let main = format!(
        "    from PIL import Image

    with torch.no_grad():
        images = load()({z}{of_class})
    pixels = ((images + 1) * 127.5).round().clamp(0, 255).byte()
    row = torch.cat(list(pixels), 2).permute(1, 2, 0).squeeze(2)
    Image.fromarray(row.numpy()).save(\"drawn.png\")
    print(\"drawn.png\")
"
    );
    program("generator", about, &config.generator_layers(), &body, weights, &main)
}

/// The program for a discriminator. See [`generator`].
pub(crate) fn discriminator(config: &ModelConfig, about: &str, weights: &str) -> String {
    let [channels, height, width] = config.image_shape();
    let input = sides(&config.discriminator_input());
    let layers = config.discriminator_layers();
    let (argument, takes, result) = match config.classes {
        Some(_) => (
            ", classes",
            " of classes [N]",
            "results[:, 0] + results[:, 1:].gather(1, classes.unsqueeze(1)).squeeze(1)",
        ),
        None => ("", "", "results[:, 0]"),
    };
    let pack = config.discriminator.pack;
    let packed = if pack > 1 { format!(", one for each {pack} images") } else { String::new() };
    let of_class = if config.classes.is_some() { ", torch.zeros(8, dtype=torch.long)" } else { "" };
    let body = format!(
        "class Discriminator(nn.Module):
    \"\"\"Images [N, {channels}, {height}, {width}] in [-1, 1]{takes} to logits [N]{packed}.\"\"\"

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
{}        )

    def forward(self, x{argument}):
        results = self.model(x.reshape(-1, {input})).view(-1, {})
        return {result}
",
        list(&layers, 12),
        config.discriminator_results()
    );
    let x = format!("torch.zeros(8, {channels}, {height}, {width}){of_class}");
    let main = format!("    with torch.no_grad():\n        print(load()({x}).shape)\n");
    program("discriminator", about, &layers, &body, weights, &main)
}

/// A whole file. `main` is what it does as a program.
fn program(network: &str, about: &str, layers: &[Layer], body: &str, weights: &str, main: &str) -> String {
    let class = network[..1].to_uppercase() + &network[1..];
    let mut text = format!(
        "\"\"\"{class}: {}

It needs torch and safetensors, and {weights} beside it{}.
\"\"\"

import pathlib

import torch
from safetensors.torch import load_file
from torch import nn
",
        about.replace(['\\', '"'], "'"),
        if network == "generator" {
            ". As a program, it draws some images, and needs numpy and pillow too"
        } else {
            ""
        }
    );
    if uses(layers, "spectral_norm") {
        text += "from torch.nn.utils.parametrizations import spectral_norm\n";
    }
    for (_, definition) in CLASSES.iter().filter(|(name, _)| uses(layers, name)) {
        let _ = write!(text, "\n\n{definition}");
    }
    let _ = write!(
        text,
        "\n\n{body}

def load():
    \"\"\"The network with its weights, ready for evaluation.\"\"\"
    network = {class}()
    network.load_state_dict(load_file(pathlib.Path(__file__).with_name(\"{weights}\")))
    return network.eval()


if __name__ == \"__main__\":
{main}"
    );
    text
}

/// Whether the lines of these layers name a class or function.
fn uses(layers: &[Layer], name: &str) -> bool {
    list(layers, 0).contains(&format!("{name}("))
}

/// Layers, one in each line, each followed by a comma.
fn list(layers: &[Layer], indent: usize) -> String {
    let mut text = String::new();
    for layer in layers {
        let _ = writeln!(text, "{:indent$}{},", "", line(layer, indent));
    }
    text
}

fn line(layer: &Layer, indent: usize) -> String {
    match layer {
        Layer::Linear { inputs, outputs } => format!("nn.Linear({inputs}, {outputs})"),
        Layer::Conv2d(sizes) => format!("nn.Conv2d({})", convolution(sizes)),
        Layer::ConvTranspose2d(sizes) => format!("nn.ConvTranspose2d({})", convolution(sizes)),
        Layer::BatchNorm2d { channels } => format!("nn.BatchNorm2d({channels})"),
        Layer::Relu => "nn.ReLU()".to_owned(),
        Layer::LeakyRelu(slope) => format!("nn.LeakyReLU({slope})"),
        Layer::Tanh => "nn.Tanh()".to_owned(),
        Layer::Flatten => "nn.Flatten()".to_owned(),
        Layer::Upsample => "nn.Upsample(scale_factor=2)".to_owned(),
        Layer::AvgPool2d => "nn.AvgPool2d(2)".to_owned(),
        Layer::MinibatchStd { group } => format!("MinibatchStd({group})"),
        Layer::PixelNorm => "PixelNorm()".to_owned(),
        Layer::Dropout { p } => format!("nn.Dropout({p})"),
        Layer::SpectralNorm(layer) => format!("spectral_norm({})", line(layer, indent)),
        Layer::Residual { body, shortcut } => {
            let inner = indent + 4;
            let [body, shortcut] = [body, shortcut].map(|layers| match &layers[..] {
                [] => "[]".to_owned(),
                layers => format!("[\n{}{:inner$}]", list(layers, inner + 4), ""),
            });
            format!("Residual(\n{:inner$}{body},\n{:inner$}{shortcut},\n{:indent$})", "", "", "")
        }
    }
}

fn convolution(sizes: &Convolution) -> String {
    let Convolution { inputs, outputs, kernel, stride, padding, bias, .. } = sizes;
    let mut text = format!("{inputs}, {outputs}, {kernel}");
    for (name, value, default) in [("stride", stride, 1), ("padding", padding, 0)] {
        if *value != default {
            let _ = write!(text, ", {name}={value}");
        }
    }
    if *bias { text } else { text + ", bias=False" }
}

/// Sides of a sample, for `view`.
fn sides(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

//! ONNX: a network as a graph of operators, with its weights. The operators are those of opset 17.

mod proto;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use gan_models::{Convolution, Discriminator, Generator, Layer, Params};
use prost::Message;
use proto::{Attribute, Dimension, Entry, Length, Node, Opset, Value};

/// Versions of the format and of the operators. Both are older than what every runtime of today reads.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// The number of samples, which is known at run time.
const BATCH: &str = "N";
const BATCH_NORM_EPS: f32 = 1e-5;
const PIXEL_NORM_EPS: f32 = 1e-8;

/// A generator: `z` is `[N, latent-dim]`, `class` is `[N]` if the model has classes, and `images` is
/// `[N, C, H, W]` in [-1, 1]. `about` are pairs of text that the file keeps.
pub(crate) fn generator(generator: &Generator, about: &[(String, String)]) -> Result<Vec<u8>> {
    let config = generator.config();
    let mut graph = Graph::new(generator.params());
    let mut inputs = vec![Value::tensor("z", proto::F32, &[None, Some(config.latent_dim)])];
    let mut x = "z".to_owned();
    if let Some(classes) = config.classes {
        inputs.push(Value::tensor("class", proto::I64, &[None]));
        let label = graph.one_hot("class", classes);
        x = graph.node("Concat", &[&x, &label], vec![Attribute::int("axis", 1)]);
    }
    x = graph.reshape(&x, &config.generator_input());
    x = graph.layers("model", &config.generator_layers(), x)?;
    let [channels, height, width] = config.image_shape();
    graph.reshape_into(&x, &[channels, height, width], "images");
    let images = Value::tensor("images", proto::F32, &[None, Some(channels), Some(height), Some(width)]);
    Ok(graph.finish("generator", inputs, images, about))
}

/// A discriminator: `images` is `[N, C, H, W]` in [-1, 1], `class` is `[N]` if the model has classes, and
/// `logits` is `[N]`. With `pack`, there is one logit for each `pack` images, and one class.
pub(crate) fn discriminator(discriminator: &Discriminator, about: &[(String, String)]) -> Result<Vec<u8>> {
    let config = discriminator.config();
    let mut graph = Graph::new(discriminator.params());
    let [channels, height, width] = config.image_shape();
    let mut inputs =
        vec![Value::tensor("images", proto::F32, &[None, Some(channels), Some(height), Some(width)])];
    let x = graph.reshape("images", &config.discriminator_input());
    let x = graph.layers("model", &config.discriminator_layers(), x)?;
    let results = graph.reshape(&x, &[config.discriminator_results()]);
    let mut logits = graph.columns(&results, 0, 1);
    if let Some(classes) = config.classes {
        inputs.push(Value::tensor("class", proto::I64, &[None]));
        let label = graph.one_hot("class", classes);
        let of_classes = graph.columns(&results, 1, 1 + classes);
        let chosen = graph.node("Mul", &[&label, &of_classes], vec![]);
        let axes = graph.numbers(&[1]);
        let chosen = graph.node("ReduceSum", &[&chosen, &axes], vec![Attribute::int("keepdims", 1)]);
        logits = graph.node("Add", &[&logits, &chosen], vec![]);
    }
    graph.reshape_into(&logits, &[], "logits");
    let logits = Value::tensor("logits", proto::F32, &[None]);
    Ok(graph.finish("discriminator", inputs, logits, about))
}

/// A graph that grows by operators.
struct Graph<'a> {
    params: &'a Params,
    nodes: Vec<Node>,
    tensors: Vec<proto::Tensor>,
}

impl<'a> Graph<'a> {
    fn new(params: &'a Params) -> Self {
        Self { params, nodes: vec![], tensors: vec![] }
    }

    fn finish(self, name: &str, input: Vec<Value>, output: Value, about: &[(String, String)]) -> Vec<u8> {
        let graph = proto::Graph {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.tensors,
            input,
            output: vec![output],
        };
        let metadata = about.iter().map(|(key, value)| Entry { key: key.clone(), value: value.clone() });
        let model = proto::Model {
            ir_version: IR_VERSION,
            producer_name: "gan-cli".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph),
            opset_import: vec![Opset { domain: String::new(), version: OPSET }],
            metadata: metadata.collect(),
        };
        model.encode_to_vec()
    }

    /// Applies an operator. Returns the name of its result.
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let result = format!("{}_{}", operator.to_lowercase(), self.nodes.len());
        self.node_into(operator, inputs, attributes, &result);
        result
    }

    fn node_into(&mut self, operator: &str, inputs: &[&str], attribute: Vec<Attribute>, result: &str) {
        self.nodes.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![result.to_owned()],
            name: result.to_owned(),
            op_type: operator.to_owned(),
            attribute,
        });
    }

    /// Adds a constant of floats. Returns its name.
    fn floats(&mut self, name: String, dims: &[usize], values: &[f32]) -> String {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let dims = dims.iter().map(|&side| signed(side)).collect();
        self.tensors.push(proto::Tensor { dims, data_type: proto::F32, name: name.clone(), raw_data });
        name
    }

    /// Adds a constant list of whole numbers. Returns its name.
    fn numbers(&mut self, values: &[i64]) -> String {
        let name = format!("constant_{}", self.tensors.len());
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let dims = vec![signed(values.len())];
        self.tensors.push(proto::Tensor { dims, data_type: proto::I64, name: name.clone(), raw_data });
        name
    }

    /// Adds a constant number. Returns its name.
    fn number(&mut self, value: f32) -> String {
        let name = format!("constant_{}", self.tensors.len());
        self.floats(name, &[], &[value])
    }

    /// Adds a tensor of the network, divided by `by`. Returns its name.
    fn weight(&mut self, name: &str, by: f64) -> Result<String> {
        let values = self.values(name)?;
        let dims = values.dims().to_vec();
        let values = values.flatten_all()?.to_vec1::<f32>()?;
        let values: Vec<f32> = values.into_iter().map(|value| (f64::from(value) / by) as f32).collect();
        Ok(self.floats(name.to_owned(), &dims, &values))
    }

    fn values(&self, name: &str) -> Result<Tensor> {
        let var = self.params.get(name).with_context(|| format!("no tensor {name}"))?;
        Ok(var.as_detached_tensor().to_device(&Device::Cpu)?.to_dtype(DType::F32)?)
    }

    /// Gives each sample the shape `of_sample`.
    fn reshape(&mut self, x: &str, of_sample: &[usize]) -> String {
        let result = format!("reshape_{}", self.nodes.len());
        self.reshape_into(x, of_sample, &result);
        result
    }

    fn reshape_into(&mut self, x: &str, of_sample: &[usize], result: &str) {
        let shape: Vec<i64> = std::iter::once(-1).chain(of_sample.iter().map(|&side| signed(side))).collect();
        let shape = self.numbers(&shape);
        self.node_into("Reshape", &[x, &shape], vec![], result);
    }

    /// The columns `from..to` of a matrix.
    fn columns(&mut self, x: &str, from: usize, to: usize) -> String {
        let [from, to, axes] = [from, to, 1].map(|number| self.numbers(&[signed(number)]));
        self.node("Slice", &[x, &from, &to, &axes], vec![])
    }

    /// Rows with a 1 at the class. They are rows of a matrix, because `OneHot` has a row of zeros for a
    /// class that does not exist, and `Gather` fails.
    fn one_hot(&mut self, class: &str, classes: usize) -> String {
        let name = format!("constant_{}", self.tensors.len());
        let values: Vec<f32> = (0..classes * classes).map(|at| f32::from(at % (classes + 1) == 0)).collect();
        let rows = self.floats(name, &[classes, classes], &values);
        self.node("Gather", &[&rows, class], vec![Attribute::int("axis", 0)])
    }

    /// Applies layers one after the other. The names of their weights begin with `prefix`.
    fn layers(&mut self, prefix: &str, layers: &[Layer], mut x: String) -> Result<String> {
        for (position, layer) in layers.iter().enumerate() {
            x = self.layer(&format!("{prefix}.{position}"), layer, x)?;
        }
        Ok(x)
    }

    fn layer(&mut self, name: &str, layer: &Layer, x: String) -> Result<String> {
        Ok(match layer {
            Layer::Linear { .. } | Layer::Conv2d(_) | Layer::ConvTranspose2d(_) => {
                let weight = self.weight(&format!("{name}.weight"), 1.)?;
                self.product(name, layer, &x, &weight)?
            }
            Layer::SpectralNorm(layer) => {
                let (weight, sigma) = self.spectral(name)?;
                let weight = self.weight(&weight, sigma)?;
                self.product(name, layer, &x, &weight)?
            }
            Layer::BatchNorm2d { .. } => {
                let mut inputs = vec![x];
                for part in ["weight", "bias", "running_mean", "running_var"] {
                    inputs.push(self.weight(&format!("{name}.{part}"), 1.)?);
                }
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                self.node("BatchNormalization", &inputs, vec![Attribute::float("epsilon", BATCH_NORM_EPS)])
            }
            Layer::Relu => self.node("Relu", &[&x], vec![]),
            Layer::LeakyRelu(slope) => {
                self.node("LeakyRelu", &[&x], vec![Attribute::float("alpha", *slope as f32)])
            }
            Layer::Tanh => self.node("Tanh", &[&x], vec![]),
            Layer::Flatten => self.node("Flatten", &[&x], vec![Attribute::int("axis", 1)]),
            Layer::Upsample => {
                let constant = format!("constant_{}", self.tensors.len());
                let scales = self.floats(constant, &[4], &[1., 1., 2., 2.]);
                let attributes = vec![
                    Attribute::string("mode", "nearest"),
                    Attribute::string("coordinate_transformation_mode", "asymmetric"),
                    Attribute::string("nearest_mode", "floor"),
                ];
                self.node("Resize", &[&x, "", &scales], attributes)
            }
            Layer::AvgPool2d => {
                let attributes =
                    vec![Attribute::ints("kernel_shape", &[2, 2]), Attribute::ints("strides", &[2, 2])];
                self.node("AveragePool", &[&x], attributes)
            }
            Layer::PixelNorm => {
                let squares = self.node("Mul", &[&x, &x], vec![]);
                let mean = self.node("ReduceMean", &[&squares], vec![Attribute::ints("axes", &[1])]);
                let eps = self.number(PIXEL_NORM_EPS);
                let sum = self.node("Add", &[&mean, &eps], vec![]);
                let root = self.node("Sqrt", &[&sum], vec![]);
                self.node("Div", &[&x, &root], vec![])
            }
            // It changes nothing after the training.
            Layer::Dropout { .. } => x,
            Layer::Residual { body, shortcut } => {
                let first = self.layers(&format!("{name}.body"), body, x.clone())?;
                let second = self.layers(&format!("{name}.shortcut"), shortcut, x)?;
                self.node("Add", &[&first, &second], vec![])
            }
            Layer::MinibatchStd { .. } => {
                bail!("{layer} compares the images of a batch, so the discriminator has no ONNX")
            }
        })
    }

    /// The product with a weight, and the bias if the layer has one.
    fn product(&mut self, name: &str, layer: &Layer, x: &str, weight: &str) -> Result<String> {
        let (operator, bias, attributes) = match layer {
            Layer::Linear { .. } => ("Gemm", true, vec![Attribute::int("transB", 1)]),
            Layer::Conv2d(sizes) => ("Conv", sizes.bias, of_convolution(sizes)),
            Layer::ConvTranspose2d(sizes) => ("ConvTranspose", sizes.bias, of_convolution(sizes)),
            other => bail!("{other} has no weight"),
        };
        if !bias {
            return Ok(self.node(operator, &[x, weight], attributes));
        }
        let bias = self.weight(&format!("{name}.bias"), 1.)?;
        Ok(self.node(operator, &[x, weight, &bias], attributes))
    }

    /// The name of the original weight of a layer with spectral norm, and the estimate of its largest
    /// singular value.
    fn spectral(&self, name: &str) -> Result<(String, f64)> {
        let of = |part: &str| format!("{name}.parametrizations.weight.{part}");
        let weight = self.values(&of("original"))?.flatten_from(1)?.to_dtype(DType::F64)?;
        let [u, v] = ["0._u", "0._v"].map(|part| self.values(&of(part)));
        let (u, v) = (u?.to_dtype(DType::F64)?, v?.to_dtype(DType::F64)?);
        let sigma = weight.matmul(&v.unsqueeze(1)?)?.squeeze(1)?.mul(&u)?.sum_all()?.to_scalar::<f64>()?;
        Ok((of("original"), sigma))
    }
}

/// A length as ONNX stores it.
fn signed(number: usize) -> i64 {
    number.cast_signed() as i64
}

fn of_convolution(sizes: &Convolution) -> Vec<Attribute> {
    let Convolution { kernel, stride, padding, .. } = sizes;
    let [kernel, stride, padding] = [kernel, stride, padding].map(|&side| signed(side));
    vec![
        Attribute::ints("kernel_shape", &[kernel; 2]),
        Attribute::ints("strides", &[stride; 2]),
        Attribute::ints("pads", &[padding; 4]),
    ]
}

impl Attribute {
    fn int(name: &str, i: i64) -> Self {
        Self { name: name.to_owned(), i, kind: proto::INT, ..Self::default() }
    }

    fn float(name: &str, f: f32) -> Self {
        Self { name: name.to_owned(), f, kind: proto::FLOAT, ..Self::default() }
    }

    fn string(name: &str, s: &str) -> Self {
        Self { name: name.to_owned(), s: s.as_bytes().to_vec(), kind: proto::STRING, ..Self::default() }
    }

    fn ints(name: &str, ints: &[i64]) -> Self {
        Self { name: name.to_owned(), ints: ints.to_vec(), kind: proto::INTS, ..Self::default() }
    }
}

impl Value {
    /// A tensor. A side that is `None` is the number of samples.
    fn tensor(name: &str, element: i32, sides: &[Option<usize>]) -> Self {
        let length = |side: &Option<usize>| match side {
            Some(side) => Length::Fixed(signed(*side)),
            None => Length::Named(BATCH.to_owned()),
        };
        let dim = sides.iter().map(|side| Dimension { length: Some(length(side)) }).collect();
        let tensor = proto::TensorType { element, shape: Some(proto::Shape { dim }) };
        Self { name: name.to_owned(), of: Some(proto::Type { tensor: Some(tensor) }) }
    }
}

#[cfg(test)]
mod tests;

//! The parts of TensorFlow's and `TensorBoard`'s messages that are written: `event.proto`, `summary.proto`,
//! `tensor.proto` and the `hparams` plugin's `plugin_data.proto`, with their field numbers.

use prost::{Enumeration, Message, Oneof};
use std::collections::BTreeMap;

/// `SessionLog.SessionStatus.START`: what follows replaces earlier events from its step on.
pub(super) const SESSION_START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub(super) what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionLog {
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
    #[prost(oneof = "Content", tags = "2, 4, 8")]
    pub(super) content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Content {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "4")]
    Image(Image),
    #[prost(message, tag = "8")]
    Tensor(Tensor),
}

/// An encoded picture.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Image {
    #[prost(int32, tag = "1")]
    pub(super) height: i32,
    #[prost(int32, tag = "2")]
    pub(super) width: i32,
    /// Number of channels.
    #[prost(int32, tag = "3")]
    pub(super) colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) encoded: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(enumeration = "Type", tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub(super) strings: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
enum Type {
    Invalid = 0,
    Float = 1,
    String = 7,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin: Option<Plugin>,
    /// `DataClass`.
    #[prost(int32, tag = "4")]
    data_class: i32,
}

/// `DATA_CLASS_TENSOR`.
const TENSOR: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

/// `HParamsPluginData`.
#[derive(Clone, PartialEq, Message)]
struct Settings {
    #[prost(message, optional, tag = "3")]
    start: Option<Start>,
}

/// `SessionStartInfo`.
#[derive(Clone, PartialEq, Message)]
struct Start {
    #[prost(btree_map = "string, message", tag = "1")]
    settings: BTreeMap<String, Setting>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
struct Setting {
    #[prost(oneof = "Literal", tags = "2, 3, 4")]
    value: Option<Literal>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Literal {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Switch(bool),
}

impl Summary {
    pub(super) fn of(values: impl IntoIterator<Item = Value>) -> Self {
        Self { value: values.into_iter().collect() }
    }
}

impl Value {
    pub(super) fn scalar(tag: String, number: f64) -> Self {
        Self { tag, metadata: None, content: Some(Content::Scalar(number as f32)) }
    }

    /// The grid of the drawn images.
    pub(super) fn image(image: Image) -> Self {
        Self { tag: "samples".to_owned(), metadata: None, content: Some(Content::Image(image)) }
    }

    /// Markdown.
    pub(super) fn text(tag: &str, text: String) -> Self {
        let tensor = Tensor {
            dtype: Type::String.into(),
            shape: Some(Shape { dim: vec![Dimension { size: 1 }] }),
            strings: vec![text.into_bytes()],
        };
        Self::of_plugin(tag, "text", vec![], tensor)
    }

    /// The settings of the run, for the comparison of runs (`HPARAMS`).
    pub(super) fn settings(settings: &[(String, serde_json::Value)]) -> Self {
        let setting = |(key, value): &(String, serde_json::Value)| {
            let value = match value {
                serde_json::Value::Bool(switch) => Literal::Switch(*switch),
                serde_json::Value::Number(number) => Literal::Number(number.as_f64().unwrap_or(f64::NAN)),
                serde_json::Value::String(text) => Literal::Text(text.clone()),
                other => Literal::Text(other.to_string()),
            };
            (key.replace('/', "."), Setting { value: Some(value) })
        };
        let start = Start { settings: settings.iter().map(setting).collect() };
        let content = Settings { start: Some(start) }.encode_to_vec();
        let empty = Shape { dim: vec![Dimension { size: 0 }] };
        let tensor = Tensor { dtype: Type::Float.into(), shape: Some(empty), strings: vec![] };
        Self::of_plugin("_hparams_/session_start_info", "hparams", content, tensor)
    }

    fn of_plugin(tag: &str, plugin: &str, content: Vec<u8>, tensor: Tensor) -> Self {
        let plugin = Plugin { name: plugin.to_owned(), content };
        let metadata = Metadata { plugin: Some(plugin), data_class: TENSOR };
        Self { tag: tag.to_owned(), metadata: Some(metadata), content: Some(Content::Tensor(tensor)) }
    }
}

impl Image {
    /// `None` if the bytes are no PNG picture. Its header has a fixed place.
    pub(super) fn of_png(png: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_be_bytes(*png.get(at..at + 4)?.first_chunk()?).cast_signed());
        let colorspace = if *png.get(25)? == 0 { 1 } else { 3 };
        Some(Self { height: number(20)?, width: number(16)?, colorspace, encoded: png.to_vec() })
    }
}

//! The part of Python's pickle format that a state dict needs.
//!
//! The values that the program builds are kept only as far as a tensor needs them. A dict keeps
//! its tensors, and a list its texts. So values do not nest, whatever the file contains.

use super::{Problem, dtype};
use candle_core::DType;
use std::collections::HashMap;
use std::rc::Rc;

/// The numbers that one or more tensors share.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) dtype: DType,
}

/// A tensor and its place in a storage. Offset and strides count numbers.
#[derive(Debug, Clone)]
pub(super) struct StoredTensor {
    pub(super) storage: Storage,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Value {
    Mark,
    Integer(i64),
    Text(Rc<str>),
    /// Module and name of a class or function.
    Class(Rc<str>),
    /// The arguments of a call, or a shape. `depth` is at most [`DEEPEST`].
    Tuple {
        items: Rc<[Value]>,
        depth: usize,
    },
    Storage(Rc<Storage>),
    Tensor(Rc<StoredTensor>),
    Dict(Vec<(Rc<str>, Rc<StoredTensor>)>),
    List(Vec<Rc<str>>),
    /// A value that no tensor needs.
    Other,
}

/// The arguments of a tensor are a tuple of tuples.
const DEEPEST: usize = 4;

/// Reads the state dict at the start of `bytes`. Also returns the number of bytes that it takes.
pub(super) fn state_dict(bytes: &[u8]) -> Problem<(Vec<(String, StoredTensor)>, usize)> {
    let mut reader = Reader::new(bytes);
    let Value::Dict(tensors) = reader.run()? else { return Err("no dict of tensors".to_owned()) };
    let tensors = tensors.into_iter().map(|(name, tensor)| (name.to_string(), (*tensor).clone()));
    let tensors: Vec<_> = tensors.collect();
    // Values of other kinds were passed over.
    if tensors.is_empty() {
        return Err(
            "no tensors by name: save the state dict itself, without another dict around it".to_owned()
        );
    }
    Ok((tensors, reader.at))
}

/// Reads bytes from the start on.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Passes over a pickled value.
    pub(super) fn skip(&mut self) -> Problem<()> {
        self.run().map(|_| ())
    }

    /// Reads a pickled list of texts.
    pub(super) fn texts(&mut self) -> Problem<Vec<String>> {
        match self.run()? {
            Value::List(texts) => Ok(texts.iter().map(ToString::to_string).collect()),
            _ => Err("no list of storages".to_owned()),
        }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn advance(&mut self, count: usize) -> Problem<()> {
        self.take(count).map(|_| ())
    }

    pub(super) fn take(&mut self, count: usize) -> Problem<&'a [u8]> {
        let bytes = self.rest().get(..count).ok_or("it ends too early")?;
        self.at += count;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Problem<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Problem<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn line(&mut self) -> Problem<&'a str> {
        let length = self.rest().iter().position(|&byte| byte == b'\n').ok_or("it ends too early")?;
        let line = self.take(length)?;
        self.advance(1)?;
        std::str::from_utf8(line).map_err(|_| "a name that is not UTF-8".to_owned())
    }

    fn text(&mut self, length: usize) -> Problem<Value> {
        let text = std::str::from_utf8(self.take(length)?);
        Ok(Value::Text(text.map_err(|_| "a text that is not UTF-8")?.into()))
    }

    /// Runs the program of one pickled value.
    fn run(&mut self) -> Problem<Value> {
        let mut machine = Machine { stack: vec![], memo: HashMap::new() };
        loop {
            let value = match self.byte()? {
                b'.' => return machine.pop(),
                // The version of the format.
                0x80 => {
                    self.byte()?;
                    continue;
                }
                b'q' => {
                    machine.keep(u32::from(self.byte()?))?;
                    continue;
                }
                b'r' => {
                    machine.keep(u32::from_le_bytes(self.array()?))?;
                    continue;
                }
                b'h' => machine.kept(u32::from(self.byte()?))?,
                b'j' => machine.kept(u32::from_le_bytes(self.array()?))?,
                b'c' => Value::Class(format!("{} {}", self.line()?, self.line()?).into()),
                b'X' => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.text(length as usize)?
                }
                b'J' => Value::Integer(i64::from(i32::from_le_bytes(self.array()?))),
                b'K' => Value::Integer(i64::from(self.byte()?)),
                b'M' => Value::Integer(i64::from(u16::from_le_bytes(self.array()?))),
                0x8a => {
                    let length = usize::from(self.byte()?);
                    integer(self.take(length)?)
                }
                b'G' => {
                    self.advance(8)?;
                    Value::Other
                }
                b'N' | 0x88 | 0x89 => Value::Other,
                b'(' => Value::Mark,
                b'}' => Value::Dict(vec![]),
                b']' => Value::List(vec![]),
                b')' => Value::Tuple { items: [].into(), depth: 1 },
                instruction => {
                    machine.act(instruction)?;
                    continue;
                }
            };
            machine.stack.push(value);
        }
    }
}

/// A number in two's complement. Only small ones are sizes.
fn integer(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut whole = [if negative { 0xff } else { 0 }; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Integer(i64::from_le_bytes(whole))
}

struct Machine {
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl Machine {
    /// Carries out an instruction that works on the stack alone.
    fn act(&mut self, instruction: u8) -> Problem<()> {
        let value = match instruction {
            b't' => tuple(self.pop_to_mark()?)?,
            0x85 => tuple(self.pop_many(1)?)?,
            0x86 => tuple(self.pop_many(2)?)?,
            0x87 => tuple(self.pop_many(3)?)?,
            b'Q' => storage(&self.pop()?)?,
            b'R' => {
                let arguments = self.pop()?;
                call(&self.pop()?, &arguments)?
            }
            // The state of an object. A state dict has its metadata there.
            b'b' => {
                self.pop()?;
                return Ok(());
            }
            b's' => {
                let items = self.pop_many(2)?;
                return self.insert(items);
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                return self.insert(items);
            }
            b'a' => {
                let items = self.pop_many(1)?;
                return self.append(items);
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                return self.append(items);
            }
            other => {
                return Err(format!(
                    "instruction {other:#04x}, which a state dict does not need: save model.state_dict(), not the model"
                ));
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Problem<Value> {
        self.stack.pop().ok_or_else(|| "a value is missing".to_owned())
    }

    fn pop_many(&mut self, count: usize) -> Problem<Vec<Value>> {
        let at = self.stack.len().checked_sub(count).ok_or("a value is missing")?;
        Ok(self.stack.split_off(at))
    }

    fn pop_to_mark(&mut self) -> Problem<Vec<Value>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        let items = self.stack.split_off(mark.ok_or("a mark is missing")? + 1);
        self.stack.pop();
        Ok(items)
    }

    /// Puts keys and values in turn into the dict on top of the stack.
    fn insert(&mut self, items: Vec<Value>) -> Problem<()> {
        let Some(Value::Dict(dict)) = self.stack.last_mut() else { return Err("no dict".to_owned()) };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if let (Value::Text(name), Value::Tensor(tensor)) = (key, value) {
                dict.push((name, tensor));
            }
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Value>) -> Problem<()> {
        let Some(Value::List(list)) = self.stack.last_mut() else { return Err("no list".to_owned()) };
        for item in items {
            if let Value::Text(text) = item {
                list.push(text);
            }
        }
        Ok(())
    }

    /// Keeps the top of the stack, without copying what can be large.
    fn keep(&mut self, place: u32) -> Problem<()> {
        let value = match self.stack.last().ok_or("a value is missing")? {
            Value::Dict(_) | Value::List(_) => Value::Other,
            value => value.clone(),
        };
        self.memo.insert(place, value);
        Ok(())
    }

    fn kept(&self, place: u32) -> Problem<Value> {
        self.memo.get(&place).cloned().ok_or_else(|| "a value is missing".to_owned())
    }
}

fn tuple(items: Vec<Value>) -> Problem<Value> {
    let depth = items.iter().map(|item| if let Value::Tuple { depth, .. } = item { *depth } else { 0 });
    let depth = 1 + depth.max().unwrap_or(0);
    let flat = |item: Value| if let Value::Dict(_) | Value::List(_) = item { Value::Other } else { item };
    if depth > DEEPEST {
        return Err("tuples inside tuples".to_owned());
    }
    Ok(Value::Tuple { items: items.into_iter().map(flat).collect(), depth })
}

fn storage(id: &Value) -> Problem<Value> {
    // "storage", class, key, device, number of elements.
    if let Value::Tuple { items, .. } = id
        && let [_, Value::Class(class), Value::Text(key), ..] = &**items
    {
        return Ok(Value::Storage(Rc::new(Storage { key: key.to_string(), dtype: dtype(class)? })));
    }
    Err("a storage of another kind".to_owned())
}

fn call(function: &Value, arguments: &Value) -> Problem<Value> {
    let (Value::Class(function), Value::Tuple { items, .. }) = (function, arguments) else {
        return Err("a call of another kind".to_owned());
    };
    match (&**function, &**items) {
        ("collections OrderedDict", []) => Ok(Value::Dict(vec![])),
        ("torch._utils _rebuild_parameter", [Value::Tensor(tensor), ..]) => Ok(Value::Tensor(tensor.clone())),
        // The seventh argument says, for example, that all signs are the other ones.
        ("torch._utils _rebuild_tensor_v2", [_, _, _, _, _, _, _, ..]) => {
            Err("a tensor with properties of its own, such as a negative view".to_owned())
        }
        (
            "torch._utils _rebuild_tensor_v2",
            [Value::Storage(storage), Value::Integer(offset), shape, strides, ..],
        ) => Ok(Value::Tensor(Rc::new(StoredTensor {
            storage: (**storage).clone(),
            offset: usize::try_from(*offset).map_err(|_| "a negative offset")?,
            shape: sizes(shape)?,
            strides: sizes(strides)?,
        }))),
        (function, _) => Err(format!("a call of {function}")),
    }
}

fn sizes(tuple: &Value) -> Problem<Vec<usize>> {
    let Value::Tuple { items, .. } = tuple else { return Err("a shape of another kind".to_owned()) };
    let size = |item: &Value| match item {
        Value::Integer(size) => usize::try_from(*size).map_err(|_| "a negative size".to_owned()),
        _ => Err("a shape of another kind".to_owned()),
    };
    items.iter().map(size).collect()
}

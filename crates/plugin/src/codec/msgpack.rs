//! Values as msgpack: the form in which Terraform and a provider talk.

use std::collections::BTreeMap;

use rmp::Marker;
use rmp::encode as write;

use super::{CodecError, ErrorKind, mismatch};
use crate::number::Number;
use crate::path::Step;
use crate::types::{DEEPEST, Type};
use crate::value::{Refinement, Value};

/// The extension type of an unknown value that carries a refinement.
const REFINED: i8 = 12;
/// The largest refinement that go-cty accepts, in bytes.
const LARGEST_REFINEMENT: usize = 1024;
/// The longest prefix that go-cty keeps, in bytes.
const LONGEST_PREFIX: usize = 256;

/// Reads one value of type `ty` from all of `bytes`.
///
/// # Errors
/// When the bytes are not a value of `ty`, or more than one.
pub fn decode(bytes: &[u8], ty: &Type) -> Result<Value, CodecError> {
    let mut reader = Reader { bytes };
    let value = reader.value(ty, 0)?;
    match reader.bytes.len() {
        0 => Ok(value),
        rest => Err(ErrorKind::Trailing(rest).into()),
    }
}

/// What is left to read.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(ErrorKind::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(ErrorKind::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn length8(&mut self) -> Result<usize, CodecError> {
        Ok(usize::from(u8::from_be_bytes(self.array()?)))
    }

    fn length16(&mut self) -> Result<usize, CodecError> {
        Ok(usize::from(u16::from_be_bytes(self.array()?)))
    }

    fn length32(&mut self) -> Result<usize, CodecError> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| ErrorKind::Truncated.into())
    }

    fn marker(&mut self) -> Result<Marker, CodecError> {
        Ok(Marker::from_u8(u8::from_be_bytes(self.array()?)))
    }

    fn peek(&self) -> Result<Marker, CodecError> {
        self.bytes
            .first()
            .copied()
            .map(Marker::from_u8)
            .ok_or_else(|| ErrorKind::Truncated.into())
    }

    fn text(&mut self, length: usize) -> Result<String, CodecError> {
        let bytes = self.take(length)?;
        Ok(std::str::from_utf8(bytes)
            .map_err(|_| ErrorKind::Utf8)?
            .to_owned())
    }

    /// The payload of a string or binary, which go-cty uses alike for the type of a dynamic value.
    fn blob(&mut self, expected: &Type) -> Result<&'a [u8], CodecError> {
        let marker = self.marker()?;
        let length = match marker {
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 | Marker::Bin8 => self.length8()?,
            Marker::Str16 | Marker::Bin16 => self.length16()?,
            Marker::Str32 | Marker::Bin32 => self.length32()?,
            other => return Err(mismatch(expected, name_of(other))),
        };
        self.take(length)
    }

    fn array_length(&mut self, marker: Marker, ty: &Type) -> Result<usize, CodecError> {
        match marker {
            Marker::FixArray(length) => Ok(usize::from(length)),
            Marker::Array16 => self.length16(),
            Marker::Array32 => self.length32(),
            other => Err(mismatch(ty, name_of(other))),
        }
    }

    fn map_length(&mut self, marker: Marker, ty: &Type) -> Result<usize, CodecError> {
        match marker {
            Marker::FixMap(length) => Ok(usize::from(length)),
            Marker::Map16 => self.length16(),
            Marker::Map32 => self.length32(),
            other => Err(mismatch(ty, name_of(other))),
        }
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Result<Value, CodecError> {
        if depth > DEEPEST {
            return Err(ErrorKind::TooDeep.into());
        }
        let marker = self.peek()?;
        if matches!(marker, Marker::Null) {
            self.marker()?;
            return Ok(Value::Null);
        }
        if let Some((kind, length)) = self.extension()? {
            return self.unknown(kind, length);
        }
        match ty {
            Type::String => {
                let marker = self.marker()?;
                let length = match marker {
                    Marker::FixStr(length) => usize::from(length),
                    Marker::Str8 => self.length8()?,
                    Marker::Str16 => self.length16()?,
                    Marker::Str32 => self.length32()?,
                    other => return Err(mismatch(ty, name_of(other))),
                };
                Ok(Value::String(self.text(length)?))
            }
            Type::Number => self.number().map(Value::Number),
            Type::Bool => match self.marker()? {
                Marker::True => Ok(Value::Bool(true)),
                Marker::False => Ok(Value::Bool(false)),
                other => Err(mismatch(ty, name_of(other))),
            },
            Type::Dynamic => self.dynamic(depth),
            Type::List(element) | Type::Set(element) => {
                let marker = self.marker()?;
                let length = self.array_length(marker, ty)?;
                let types = std::iter::repeat_n(element.as_ref(), length);
                Ok(self.elements(types, depth)?.canonical(ty))
            }
            Type::Tuple(types) => {
                let marker = self.marker()?;
                let length = self.array_length(marker, ty)?;
                if length != types.len() {
                    let found = format!("{length} elements instead of {}", types.len());
                    return Err(mismatch(ty, found));
                }
                self.elements(types.iter(), depth)
            }
            Type::Map(element) => self.entries(ty, |reader, key| {
                reader
                    .value(element, depth + 1)
                    .map_err(|error| error.within(Step::Key(key.to_owned())))
            }),
            Type::Object { attributes, .. } => {
                let value = self.entries(ty, |reader, name| {
                    let ty = attributes
                        .get(name)
                        .ok_or_else(|| ErrorKind::Attributes(format!("{name:?} is not one")))?;
                    reader
                        .value(ty, depth + 1)
                        .map_err(|error| error.within(Step::Attribute(name.to_owned())))
                })?;
                match attributes
                    .keys()
                    .find(|name| value.as_map().is_none_or(|map| !map.contains_key(*name)))
                {
                    Some(missing) => {
                        Err(ErrorKind::Attributes(format!("{missing:?} is missing")).into())
                    }
                    None => Ok(value),
                }
            }
        }
    }

    fn elements<'t>(
        &mut self,
        types: impl ExactSizeIterator<Item = &'t Type>,
        depth: usize,
    ) -> Result<Value, CodecError> {
        // Never allocate by a declared length: every element is at least one byte.
        let mut elements = Vec::with_capacity(types.len().min(self.bytes.len()));
        for (index, ty) in types.enumerate() {
            let step = || Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
            let element = self.value(ty, depth + 1);
            elements.push(element.map_err(|error| error.within(step()))?);
        }
        Ok(Value::List(elements))
    }

    fn entries(
        &mut self,
        ty: &Type,
        mut read: impl FnMut(&mut Self, &str) -> Result<Value, CodecError>,
    ) -> Result<Value, CodecError> {
        let marker = self.marker()?;
        let length = self.map_length(marker, ty)?;
        let mut entries = BTreeMap::new();
        for _ in 0..length {
            let key =
                std::str::from_utf8(self.blob(&Type::String)?).map_err(|_| ErrorKind::Utf8)?;
            let value = read(self, key)?;
            if entries.insert(key.to_owned(), value).is_some() {
                return Err(ErrorKind::Duplicate(key.to_owned()).into());
            }
        }
        Ok(Value::Map(entries))
    }

    fn dynamic(&mut self, depth: usize) -> Result<Value, CodecError> {
        let marker = self.marker()?;
        match self.array_length(marker, &Type::Dynamic)? {
            2 => {}
            length => {
                return Err(mismatch(
                    &Type::Dynamic,
                    format!("{length} elements instead of a type and a value"),
                ));
            }
        }
        let ty = Type::from_json_bytes(self.blob(&Type::Dynamic)?).map_err(ErrorKind::from)?;
        let value = self.value(&ty, depth + 1)?;
        Ok(Value::Dynamic(Box::new((ty, value))))
    }

    fn number(&mut self) -> Result<Number, CodecError> {
        let marker = self.marker()?;
        Ok(match marker {
            Marker::FixPos(value) => Number::from(i64::from(value)),
            Marker::FixNeg(value) => Number::from(i64::from(value)),
            Marker::U8 => Number::from(i64::from(u8::from_be_bytes(self.array()?))),
            Marker::U16 => Number::from(i64::from(u16::from_be_bytes(self.array()?))),
            Marker::U32 => Number::from(i64::from(u32::from_be_bytes(self.array()?))),
            Marker::U64 => Number::from(u64::from_be_bytes(self.array()?)),
            Marker::I8 => Number::from(i64::from(i8::from_be_bytes(self.array()?))),
            Marker::I16 => Number::from(i64::from(i16::from_be_bytes(self.array()?))),
            Marker::I32 => Number::from(i64::from(i32::from_be_bytes(self.array()?))),
            Marker::I64 => Number::from(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Number::from_f64(f64::from(f32::from_be_bytes(self.array()?)))
                .map_err(ErrorKind::from)?,
            Marker::F64 => {
                Number::from_f64(f64::from_be_bytes(self.array()?)).map_err(ErrorKind::from)?
            }
            Marker::FixStr(length) => self.decimal(usize::from(length))?,
            Marker::Str8 => self.length8().and_then(|length| self.decimal(length))?,
            Marker::Str16 => self.length16().and_then(|length| self.decimal(length))?,
            Marker::Str32 => self.length32().and_then(|length| self.decimal(length))?,
            other => return Err(mismatch(&Type::Number, name_of(other))),
        })
    }

    fn decimal(&mut self, length: usize) -> Result<Number, CodecError> {
        Ok(self
            .text(length)?
            .parse::<Number>()
            .map_err(ErrorKind::from)?)
    }

    /// The type and length of the extension that comes next, if one does.
    fn extension(&mut self) -> Result<Option<(i8, usize)>, CodecError> {
        let length = match self.peek()? {
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => {
                self.marker()?;
                let length = self.length8()?;
                return Ok(Some((i8::from_be_bytes(self.array()?), length)));
            }
            Marker::Ext16 => {
                self.marker()?;
                let length = self.length16()?;
                return Ok(Some((i8::from_be_bytes(self.array()?), length)));
            }
            Marker::Ext32 => {
                self.marker()?;
                let length = self.length32()?;
                return Ok(Some((i8::from_be_bytes(self.array()?), length)));
            }
            _ => return Ok(None),
        };
        self.marker()?;
        Ok(Some((i8::from_be_bytes(self.array()?), length)))
    }

    fn unknown(&mut self, kind: i8, length: usize) -> Result<Value, CodecError> {
        let payload = self.take(length)?;
        // go-cty: any extension of at most one byte is an unknown of which nothing is known.
        if length <= 1 {
            return Ok(Value::unknown());
        }
        if kind != REFINED {
            return Err(ErrorKind::Refinement(
                "the extension is of a kind that Terraform does not use",
            )
            .into());
        }
        if length > LARGEST_REFINEMENT {
            return Err(ErrorKind::Refinement("it is longer than 1,024 bytes").into());
        }
        let mut reader = Reader { bytes: payload };
        let refinement = reader.refinement()?;
        if reader.bytes.is_empty() {
            Ok(Value::Unknown(refinement))
        } else {
            Err(ErrorKind::Refinement("bytes follow it").into())
        }
    }

    fn refinement(&mut self) -> Result<Refinement, CodecError> {
        let marker = self.marker()?;
        let length = self.map_length(marker, &Type::map(Type::Dynamic))?;
        let mut refinement = Refinement::default();
        for _ in 0..length {
            match self.number()?.as_i64() {
                Some(1) => {
                    refinement.null = match self.marker()? {
                        Marker::True => Some(true),
                        Marker::False => Some(false),
                        _ => return Err(ErrorKind::Refinement("nullness is not a boolean").into()),
                    }
                }
                Some(2) => {
                    let prefix = std::str::from_utf8(self.blob(&Type::String)?)
                        .map_err(|_| ErrorKind::Utf8)?;
                    if prefix.len() > LONGEST_PREFIX {
                        return Err(
                            ErrorKind::Refinement("the prefix is longer than 256 bytes").into()
                        );
                    }
                    refinement.prefix = Some(prefix.to_owned());
                }
                Some(3) => refinement.lower = Some(self.bound()?),
                Some(4) => refinement.upper = Some(self.bound()?),
                Some(5) => refinement.fewest = Some(self.count()?),
                Some(6) => refinement.most = Some(self.count()?),
                // A newer Terraform may know more; what it says of an unknown is only a help.
                _ => self.skip(0)?,
            }
        }
        Ok(refinement)
    }

    fn bound(&mut self) -> Result<(Number, bool), CodecError> {
        let marker = self.marker()?;
        if self.array_length(marker, &Type::Tuple(Vec::new()))? != 2 {
            return Err(ErrorKind::Refinement("a bound is not a number and a boolean").into());
        }
        let number = self.number()?;
        match self.marker()? {
            Marker::True => Ok((number, true)),
            Marker::False => Ok((number, false)),
            _ => Err(ErrorKind::Refinement("a bound is not a number and a boolean").into()),
        }
    }

    fn count(&mut self) -> Result<i64, CodecError> {
        self.number()?
            .as_i64()
            .ok_or_else(|| ErrorKind::Refinement("a length is not a whole number").into())
    }

    fn skip(&mut self, depth: usize) -> Result<(), CodecError> {
        if depth > DEEPEST {
            return Err(ErrorKind::TooDeep.into());
        }
        if let Some((_, length)) = self.extension()? {
            self.take(length)?;
            return Ok(());
        }
        let length = match self.marker()? {
            Marker::FixArray(length) => return self.skip_many(usize::from(length), depth),
            Marker::Array16 => {
                return self
                    .length16()
                    .and_then(|length| self.skip_many(length, depth));
            }
            Marker::Array32 => {
                return self
                    .length32()
                    .and_then(|length| self.skip_many(length, depth));
            }
            Marker::FixMap(length) => return self.skip_many(usize::from(length) * 2, depth),
            Marker::Map16 => {
                return self
                    .length16()
                    .and_then(|length| self.skip_many(length * 2, depth));
            }
            Marker::Map32 => {
                return self
                    .length32()
                    .and_then(|length| self.skip_many(length.saturating_mul(2), depth));
            }
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 | Marker::Bin8 => self.length8()?,
            Marker::Str16 | Marker::Bin16 => self.length16()?,
            Marker::Str32 | Marker::Bin32 => self.length32()?,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            _ => 0,
        };
        self.take(length).map(|_| ())
    }

    fn skip_many(&mut self, count: usize, depth: usize) -> Result<(), CodecError> {
        (0..count).try_for_each(|_| self.skip(depth + 1))
    }
}

fn name_of(marker: Marker) -> &'static str {
    match marker {
        Marker::Null => "null",
        Marker::True | Marker::False => "a boolean",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "text",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "bytes",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "an array",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        Marker::Reserved => "a reserved byte",
        Marker::FixExt1
        | Marker::FixExt2
        | Marker::FixExt4
        | Marker::FixExt8
        | Marker::FixExt16
        | Marker::Ext8
        | Marker::Ext16
        | Marker::Ext32 => "an extension",
        _ => "a number",
    }
}

/// Writes a value of type `ty`.
///
/// # Errors
/// When the value is not of the type: a fault of the provider.
pub fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(256);
    write_value(&mut out, value, ty)?;
    Ok(out)
}

/// Writing into memory cannot fail; rmp says so in its types only in part.
fn sure<T, E>(result: Result<T, E>) -> Result<T, CodecError> {
    result.map_err(|_| ErrorKind::Truncated.into())
}

fn length(value: usize) -> Result<u32, CodecError> {
    u32::try_from(value).map_err(|_| ErrorKind::Truncated.into())
}

fn write_value(out: &mut Vec<u8>, value: &Value, ty: &Type) -> Result<(), CodecError> {
    match (value, ty) {
        (Value::Null, _) => sure(write::write_nil(out)),
        (Value::Unknown(refinement), _) => write_unknown(out, refinement),
        (Value::Dynamic(inner), Type::Dynamic) => {
            sure(write::write_array_len(out, 2))?;
            sure(write::write_bin(out, &inner.0.to_json_bytes()))?;
            write_value(out, &inner.1, &inner.0)
        }
        (Value::Bool(value), Type::Bool) => sure(write::write_bool(out, *value)),
        (Value::Number(number), Type::Number) => write_number(out, number),
        (Value::String(text), Type::String) => sure(write::write_str(out, text)),
        (Value::List(elements), Type::List(element) | Type::Set(element)) => {
            sure(write::write_array_len(out, length(elements.len())?))?;
            elements.iter().enumerate().try_for_each(|(index, value)| {
                write_value(out, value, element).map_err(|error| {
                    error.within(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
                })
            })
        }
        (Value::List(elements), Type::Tuple(types)) if elements.len() == types.len() => {
            sure(write::write_array_len(out, length(elements.len())?))?;
            elements
                .iter()
                .zip(types)
                .try_for_each(|(value, ty)| write_value(out, value, ty))
        }
        (Value::Map(entries), Type::Map(element)) => {
            sure(write::write_map_len(out, length(entries.len())?))?;
            entries.iter().try_for_each(|(key, value)| {
                sure(write::write_str(out, key))?;
                write_value(out, value, element)
                    .map_err(|error| error.within(Step::Key(key.clone())))
            })
        }
        (Value::Map(entries), Type::Object { attributes, .. }) => {
            if let Some(stranger) = entries.keys().find(|name| !attributes.contains_key(*name)) {
                return Err(ErrorKind::Attributes(format!("{stranger:?} is not one")).into());
            }
            sure(write::write_map_len(out, length(attributes.len())?))?;
            attributes.iter().try_for_each(|(name, ty)| {
                sure(write::write_str(out, name))?;
                let value = entries.get(name).unwrap_or(&Value::Null);
                write_value(out, value, ty)
                    .map_err(|error| error.within(Step::Attribute(name.clone())))
            })
        }
        (value, ty) => Err(mismatch(ty, value.to_string())),
    }
}

fn write_number(out: &mut Vec<u8>, number: &Number) -> Result<(), CodecError> {
    if let Some(integer) = number.as_i64() {
        sure(write::write_sint(out, integer)).map(|_| ())
    } else if let Some(float) = number.as_exact_f64().filter(|float| float.fract() != 0.0) {
        sure(write::write_f64(out, float))
    } else {
        sure(write::write_str(out, &number.to_string()))
    }
}

fn write_unknown(out: &mut Vec<u8>, refinement: &Refinement) -> Result<(), CodecError> {
    if *refinement == Refinement::default() {
        out.extend_from_slice(&[0xd4, 0x00, 0x00]);
        return Ok(());
    }
    let Refinement {
        null,
        prefix,
        lower,
        upper,
        fewest,
        most,
    } = refinement;
    let mut body = Vec::new();
    let mut fields = 0_u32;
    let mut field = |body: &mut Vec<u8>, key: i64| {
        fields += 1;
        sure(write::write_sint(body, key)).map(|_| ())
    };
    if let Some(null) = null {
        field(&mut body, 1)?;
        sure(write::write_bool(&mut body, *null))?;
    }
    if let Some(prefix) = prefix {
        field(&mut body, 2)?;
        sure(write::write_str(&mut body, prefix))?;
    }
    for (key, bound) in [(3, lower), (4, upper)] {
        if let Some((number, inclusive)) = bound {
            field(&mut body, key)?;
            sure(write::write_array_len(&mut body, 2))?;
            write_number(&mut body, number)?;
            sure(write::write_bool(&mut body, *inclusive))?;
        }
    }
    for (key, count) in [(5, fewest), (6, most)] {
        if let Some(count) = count {
            field(&mut body, key)?;
            sure(write::write_sint(&mut body, *count))?;
        }
    }
    let mut payload = Vec::with_capacity(body.len() + 1);
    sure(write::write_map_len(&mut payload, fields))?;
    payload.extend_from_slice(&body);
    sure(write::write_ext_meta(out, length(payload.len())?, REFINED))?;
    out.extend_from_slice(&payload);
    Ok(())
}

//! Writes a GGUF file: keys, then tensors, each aligned. The same input gives the same bytes on every machine.
//!
//! Source: the GGUF specification, version 3 (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use std::io::{self, Write};

const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;
/// What tensors are aligned to when `general.alignment` does not say otherwise.
const ALIGNMENT: u64 = 32;

/// The value of a key.
pub(super) enum Value<'v> {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(&'v str),
    Texts(&'v [String]),
    I32s(&'v [i32]),
}

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    /// Half precision.
    F16,
    /// Blocks of 32 numbers: a scale in half precision and 32 whole numbers from -127 to 127.
    Q8_0,
}

/// A tensor to be written.
pub(super) struct Tensor {
    pub name: String,
    /// The number of numbers in a row first.
    pub shape: Vec<u64>,
    pub kind: Kind,
}

/// Numbers in a block of [`Kind::Q8_0`].
pub(super) const BLOCK: usize = 32;

impl Tensor {
    fn numbers(&self) -> u64 {
        self.shape.iter().product()
    }

    fn size_bytes(&self) -> u64 {
        match self.kind {
            Kind::F32 => self.numbers() * 4,
            Kind::F16 => self.numbers() * 2,
            Kind::Q8_0 => self.numbers() / BLOCK as u64 * (2 + BLOCK as u64),
        }
    }
}

/// Writes a file. `numbers` gives those of a tensor, by its place in `tensors`.
///
/// # Errors
///
/// If it cannot be written, if there are not as many numbers as the shape says, or if rows are not whole blocks.
pub(super) fn write(
    to: &mut impl Write,
    keys: &[(&str, Value<'_>)],
    tensors: &[Tensor],
    mut numbers: impl FnMut(usize) -> io::Result<Vec<f32>>,
) -> io::Result<()> {
    let header = header(keys, tensors);
    to.write_all(&header)?;
    pad(to, header.len() as u64)?;
    for (index, tensor) in tensors.iter().enumerate() {
        let numbers = numbers(index)?;
        let row = tensor.shape.first().copied().unwrap_or(0);
        let is_whole = tensor.kind != Kind::Q8_0 || row.is_multiple_of(BLOCK as u64);
        if numbers.len() as u64 != tensor.numbers() || !is_whole {
            return Err(io::Error::other(format!(
                "the tensor {} has another shape",
                tensor.name
            )));
        }
        let bytes = match tensor.kind {
            Kind::F32 => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Kind::F16 => numbers
                .iter()
                .flat_map(|x| half(*x).to_le_bytes())
                .collect(),
            Kind::Q8_0 => q8_0(&numbers),
        };
        to.write_all(&bytes)?;
        pad(to, bytes.len() as u64)?;
    }
    to.flush()
}

fn header(keys: &[(&str, Value<'_>)], tensors: &[Tensor]) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((keys.len() as u64).to_le_bytes());
    for (key, value) in keys {
        put_text(&mut header, key);
        put_value(&mut header, value);
    }
    let mut offset = 0;
    for tensor in tensors {
        put_text(&mut header, &tensor.name);
        header.extend((tensor.shape.len() as u32).to_le_bytes());
        for length in &tensor.shape {
            header.extend(length.to_le_bytes());
        }
        let kind: u32 = match tensor.kind {
            Kind::F32 => 0,
            Kind::F16 => 1,
            Kind::Q8_0 => 8,
        };
        header.extend(kind.to_le_bytes());
        header.extend(u64::to_le_bytes(offset));
        offset += tensor.size_bytes().next_multiple_of(ALIGNMENT);
    }
    header
}

fn put_value(to: &mut Vec<u8>, value: &Value<'_>) {
    const U32: u32 = 4;
    const I32: u32 = 5;
    const F32: u32 = 6;
    const BOOL: u32 = 7;
    const TEXT: u32 = 8;
    const ARRAY: u32 = 9;
    let mut put_kind = |kind: u32| to.extend(kind.to_le_bytes());
    match value {
        Value::U32(number) => {
            put_kind(U32);
            to.extend(number.to_le_bytes());
        }
        Value::F32(number) => {
            put_kind(F32);
            to.extend(number.to_le_bytes());
        }
        Value::Bool(is_so) => {
            put_kind(BOOL);
            to.push(u8::from(*is_so));
        }
        Value::Text(text) => {
            put_kind(TEXT);
            put_text(to, text);
        }
        Value::Texts(texts) => {
            put_kind(ARRAY);
            put_kind_and_length(to, TEXT, texts.len());
            texts.iter().for_each(|text| put_text(to, text));
        }
        Value::I32s(numbers) => {
            put_kind(ARRAY);
            put_kind_and_length(to, I32, numbers.len());
            numbers.iter().for_each(|x| to.extend(x.to_le_bytes()));
        }
    }
}

fn put_kind_and_length(to: &mut Vec<u8>, kind: u32, length: usize) {
    to.extend(kind.to_le_bytes());
    to.extend((length as u64).to_le_bytes());
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}

/// Fills up with zeros after so many bytes.
fn pad(to: &mut impl Write, bytes: u64) -> io::Result<()> {
    let missing = bytes.next_multiple_of(ALIGNMENT) - bytes;
    io::copy(&mut io::Read::take(io::repeat(0), missing), to).map(drop)
}

/// Source: `quantize_row_q8_0_ref` in ggml-quants.c, "reference implementation for deterministic creation of model files".
fn q8_0(numbers: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(numbers.len() / BLOCK * (2 + BLOCK));
    for block in numbers.chunks_exact(BLOCK) {
        let largest = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        bytes.extend(half(scale).to_le_bytes());
        bytes.extend(block.iter().map(|x| (x * inverse).round() as i8 as u8));
    }
    bytes
}

/// Returns a number in half precision, the nearest there is, the even one of two that are equally near.
///
/// Source: IEEE 754-2019, binary16: 5 bits of exponent with bias 15, 10 of fraction.
fn half(number: f32) -> u16 {
    let bits = number.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    // 65,520 and above round to infinity; what is not a number stays so.
    if magnitude >= 0x477f_f000 {
        let is_number = magnitude <= 0x7f80_0000;
        return sign | if is_number { 0x7c00 } else { 0x7e00 };
    }
    // Below 2^-14 halves are multiples of 2^-24: scaling by that is exact, and so is rounding to even.
    if magnitude < 0x3880_0000 {
        let multiples = f32::from_bits(magnitude) * 16_777_216.0;
        return sign | multiples.round_ties_even() as u16;
    }
    // The exponent's bias goes from 127 to 15. A carry out of the fraction belongs into the exponent.
    let rebiased = magnitude - ((127 - 15) << 23);
    let is_odd = (rebiased >> 13) & 1;
    sign | ((rebiased + 0x0fff + is_odd) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_nearest_and_even_ones() {
        let check = |number: f32, expected: u16| assert_eq!(half(number), expected, "{number}");
        check(0.0, 0x0000);
        check(-0.0, 0x8000);
        check(1.0, 0x3c00);
        check(-2.0, 0xc000);
        check(65504.0, 0x7bff);
        check(65519.0, 0x7bff);
        check(65520.0, 0x7c00);
        check(f32::INFINITY, 0x7c00);
        assert_eq!(half(f32::NAN) & 0x7c00, 0x7c00);
        assert_ne!(half(f32::NAN) & 0x03ff, 0);
        // Halfway between 1 and the next half, and between that and the one after it.
        check(1.0 + 1.0 / 2048.0, 0x3c00);
        check(1.0 + 3.0 / 2048.0, 0x3c02);
        check(1.0 + 1.1 / 2048.0, 0x3c01);
        // The smallest normal one, the largest and smallest below it, and half of the latter.
        check(2.0_f32.powi(-14), 0x0400);
        check(2.0_f32.powi(-14) - 2.0_f32.powi(-24), 0x03ff);
        check(2.0_f32.powi(-24), 0x0001);
        check(2.0_f32.powi(-25), 0x0000);
        check(1.5 * 2.0_f32.powi(-24), 0x0002);
        check(1.9999 * 2.0_f32.powi(-15), 0x0400);
    }

    #[test]
    fn every_half_is_its_own_nearest() {
        for bits in 0..0x7c00_u16 {
            let exponent = i32::from(bits >> 10);
            let fraction = f32::from(bits & 0x3ff);
            let number = match exponent {
                0 => fraction * 2.0_f32.powi(-24),
                _ => (1024.0 + fraction) * 2.0_f32.powi(exponent - 25),
            };
            assert_eq!(half(number), bits, "{number}");
        }
    }

    #[test]
    fn a_block_is_a_scale_and_whole_numbers_up_to_127() {
        let mut numbers = [0.0; 64];
        numbers[0] = -254.0;
        numbers[1] = 127.0;
        numbers[2] = 3.0;
        let bytes = q8_0(&numbers);
        assert_eq!(bytes.len(), 68);
        // 254 / 127 is 2; half of 3 rounds away from zero.
        assert_eq!(bytes[..5], [0x00, 0x40, -127_i8 as u8, 64, 2]);
        assert_eq!(bytes[34..], [0; 34], "nothing but zeros has the scale zero");
    }

    #[test]
    fn tensors_are_aligned_and_rows_whole() {
        let tensor = |shape: &[u64], kind| Tensor {
            name: "t".into(),
            shape: shape.to_vec(),
            kind,
        };
        let mut file = Vec::new();
        let tensors = [
            tensor(&[3], Kind::F32),
            tensor(&[32, 2], Kind::Q8_0),
            tensor(&[5], Kind::F16),
        ];
        let keys = [("general.architecture", Value::Text("bert"))];
        write(&mut file, &keys, &tensors, |index| {
            Ok(vec![1.0; [3, 64, 5][index]])
        })
        .unwrap();
        // 12 bytes filled up to 32, 68 filled up to 96, 10 filled up to 32.
        let header = header(&keys, &tensors).len().next_multiple_of(32);
        assert_eq!(file.len(), header + 32 + 96 + 32);
        assert_eq!(file[header..header + 4], 1.0_f32.to_le_bytes());

        let ragged = [tensor(&[16, 4], Kind::Q8_0)];
        assert!(write(&mut Vec::new(), &[], &ragged, |_| Ok(vec![1.0; 64])).is_err());
        let short = [tensor(&[3], Kind::F32)];
        assert!(write(&mut Vec::new(), &[], &short, |_| Ok(vec![1.0; 2])).is_err());
    }
}

//! Text of a bounded length, without an allocator and without `core::fmt`, which would be larger than all
//! the rest of the program.

use core::ffi::CStr;

/// Bytes that a [`Text`] has room for, a NUL among them: enough for a path, a line, mount options or a module's
/// parameters, and few enough for several on a page of stack.
pub const LIMIT: usize = 1024;

/// Bytes of fewer than [`LIMIT`]; what would be more is left out, and known to be.
#[derive(Debug, Clone)]
pub struct Text {
    /// What is written, then zeros to the end, of which there is always one.
    bytes: [u8; LIMIT],
    length: usize,
    cut: bool,
}

impl Default for Text {
    fn default() -> Self {
        Text {
            bytes: [0; LIMIT],
            length: 0,
            cut: false,
        }
    }
}

impl Text {
    /// The text of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = Text::default();
        text.push(bytes);
        text
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Self {
        for byte in bytes {
            self.push_byte(*byte);
        }
        self
    }

    /// Appends a byte.
    // Called in many places, and each copy would be larger than the call.
    #[inline(never)]
    pub fn push_byte(&mut self, byte: u8) -> &mut Self {
        match self.bytes.get_mut(self.length) {
            Some(place) if self.length < LIMIT - 1 => {
                *place = byte;
                self.length += 1;
            }
            _ => self.cut = true,
        }
        self
    }

    /// Appends a number in decimal.
    pub fn push_decimal(&mut self, number: u64) -> &mut Self {
        self.push(decimal_digits(number, &mut [0; 20]))
    }

    /// Appends the last `digits` hexadecimal digits of a number.
    pub fn push_hexadecimal(&mut self, number: u64, digits: u32) -> &mut Self {
        for place in (0..digits).rev() {
            let digit = (number >> (place * 4) & 15) as u8;
            self.push_byte(if digit < 10 {
                b'0' + digit
            } else {
                b'a' + digit - 10
            });
        }
        self
    }

    /// Takes everything back beyond a length.
    pub fn truncate(&mut self, length: usize) {
        if let Some(rest) = self.bytes.get_mut(length..self.length) {
            for byte in rest {
                *byte = 0;
            }
            self.length = length;
        }
        self.cut = false;
    }

    /// What is written.
    #[must_use]
    // As `push_byte`.
    #[inline(never)]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// What is written up to the first NUL, as system calls take it.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }

    /// Whether anything was left out for want of room.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

fn decimal_digits(number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut rest = number;
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

/// A decimal number and nothing else; `None` too where it is beyond 64 bits.
#[must_use]
pub fn decimal(text: &[u8]) -> Option<u64> {
    number(text, 10)
}

/// A number of hexadecimal digits and nothing else; `None` too where it is beyond 64 bits.
#[must_use]
pub fn hexadecimal(text: &[u8]) -> Option<u64> {
    number(text, 16)
}

fn number(text: &[u8], base: u32) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut number: u64 = 0;
    for byte in text {
        let digit = char::from(*byte).to_digit(base)?;
        number = number
            .checked_mul(u64::from(base))?
            .checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// The parts of a text between separators, as `split` has them; one function for all who take texts apart.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Parts<'a> {
    /// The parts of `text` between bytes like this.
    #[must_use]
    pub fn of(text: &'a [u8], separator: u8) -> Self {
        Parts {
            rest: Some(text),
            separator,
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        match split_once(rest, self.separator) {
            Some((part, behind)) => {
                self.rest = Some(behind);
                Some(part)
            }
            None => self.rest.take(),
        }
    }
}

/// The little-endian number of `length` bytes at a place; 0 where they are not all there.
#[must_use]
pub fn number_at(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.get(..length));
    let mut number = 0;
    for byte in bytes.unwrap_or_default().iter().rev() {
        number = number << 8 | u64::from(*byte);
    }
    number
}

/// Appends sixteen bytes as a UUID: `8-4-4-4-12` hexadecimal digits.
pub fn push_uuid(text: &mut Text, bytes: &[u8]) {
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push_byte(b'-');
        }
        text.push_hexadecimal(u64::from(*byte), 2);
    }
}

/// Whether two texts are the same but for capitals of ASCII.
#[must_use]
pub fn is_same_but_for_case(one: &[u8], other: &[u8]) -> bool {
    let lower = |byte: &u8| byte.to_ascii_lowercase();
    one.iter().map(lower).eq(other.iter().map(lower))
}

/// What goes by a name in a table. A `match` on texts would become a comparison of every letter, each an
/// instruction of its own.
#[must_use]
pub fn named<T: Copy>(name: &[u8], table: &[(&[u8], T)]) -> Option<T> {
    let entry = table.iter().find(|(known, _)| *known == name);
    entry.map(|(_, named)| *named)
}

/// What stands before the first of `byte`, and what after it.
#[must_use]
pub fn split_once(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|found| *found == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_and_uuids_have_them() {
        for (number, text) in [
            (0, "0"),
            (9, "9"),
            (10, "10"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(
                Text::default().push_decimal(number).as_bytes(),
                text.as_bytes()
            );
        }
        let mut text = Text::default();
        text.push_hexadecimal(0xbad_cafe, 8)
            .push_hexadecimal(0x5, 2);
        assert_eq!(text.as_bytes(), b"0badcafe05");
    }

    #[test]
    fn what_has_no_room_is_left_out_and_known_to_be() {
        let long = [b'a'; LIMIT - 1];
        let mut text = Text::of(&long);
        assert!(!text.is_cut());
        assert_eq!(text.push(b"bc").as_bytes(), long);
        assert!(text.is_cut());
        text.truncate(1);
        assert_eq!((text.as_c_str(), text.is_cut()), (c"a", false));
        assert_eq!(text.push(b"b").as_c_str(), c"ab");
    }

    #[test]
    fn parts_are_those_of_split() {
        for text in ["", "a", "a,b", ",a,", ",,"] {
            let parts: std::vec::Vec<_> = Parts::of(text.as_bytes(), b',').collect();
            let want: std::vec::Vec<_> = text.split(',').map(str::as_bytes).collect();
            assert_eq!(parts, want, "{text}");
        }
    }

    #[test]
    fn a_number_has_digits_alone_and_an_end() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(hexadecimal(b"fD01"), Some(0xfd01));
        for bad in [&b""[..], b"1 ", b"-1", b"18446744073709551616", b"a"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }
}

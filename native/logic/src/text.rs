//! Text of a bounded length, without an allocator and without `core::fmt`, which would be larger than all
//! the rest of the program.

use core::ffi::CStr;

/// Bytes of at most `N - 1`; what would be more is left out, and known to be.
#[derive(Debug, Clone)]
pub struct Text<const N: usize> {
    /// What is written, then zeros to the end, of which there is always one.
    bytes: [u8; N],
    length: usize,
    cut: bool,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Text {
            bytes: [0; N],
            length: 0,
            cut: false,
        }
    }
}

impl<const N: usize> Text<N> {
    /// The text of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = Text::default();
        text.push(bytes);
        text
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Self {
        // One copy of the loop serves texts of all lengths.
        let pushed = push(&mut self.bytes, self.length, bytes);
        self.length += pushed;
        self.cut |= pushed < bytes.len();
        self
    }

    /// Appends a byte.
    pub fn push_byte(&mut self, byte: u8) -> &mut Self {
        self.push(&[byte])
    }

    /// Appends a number in decimal.
    pub fn push_decimal(&mut self, number: u64) -> &mut Self {
        self.push(decimal_digits(number, &mut [0; 20]))
    }

    /// Appends the last `digits` hexadecimal digits of a number.
    pub fn push_hexadecimal(&mut self, number: u32, digits: u32) -> &mut Self {
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
        for byte in self.bytes.iter_mut().skip(length) {
            *byte = 0;
        }
        self.length = self.length.min(length);
        self.cut = false;
    }

    /// What is written.
    #[must_use]
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

/// Appends to what is written up to `length`, but for the last byte; how many there was room for.
#[inline(never)]
fn push(bytes: &mut [u8], length: usize, more: &[u8]) -> usize {
    let end = bytes.len().saturating_sub(1);
    let room = bytes.get_mut(length..end).unwrap_or_default();
    let mut pushed = 0;
    for (place, byte) in room.iter_mut().zip(more) {
        *place = *byte;
        pushed += 1;
    }
    pushed
}

#[inline(never)]
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

/// What stands before the first of `byte`, and what after it.
#[must_use]
pub fn split_once(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|found| *found == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The text without spaces and line breaks around it.
#[must_use]
pub fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
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
                Text::<64>::default().push_decimal(number).as_bytes(),
                text.as_bytes()
            );
        }
        let mut text = Text::<16>::default();
        text.push_hexadecimal(0xbad_cafe, 8)
            .push_hexadecimal(0x5, 2);
        assert_eq!(text.as_bytes(), b"0badcafe05");
    }

    #[test]
    fn what_has_no_room_is_left_out_and_known_to_be() {
        let mut text = Text::<4>::of(b"abc");
        assert!(!text.is_cut());
        assert_eq!(text.push(b"de").as_bytes(), b"abc");
        assert!(text.is_cut());
        assert_eq!(text.as_c_str(), c"abc");
        text.truncate(1);
        assert_eq!((text.as_c_str(), text.is_cut()), (c"a", false));
        assert_eq!(Text::<0>::of(b"a").as_bytes(), b"");
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

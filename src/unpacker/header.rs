//! The header of an entry as the kernel reads it: leniently.

/// The bytes of a header (`buffer-format`).
pub(super) const SIZE: usize = 110;

/// What an unpacker uses of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Header {
    pub magic: [u8; 6],
    pub ino: u32,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    pub mtime: u32,
    pub size: u32,
    pub device: (u32, u32),
    pub rdev: (u32, u32),
    pub name_size: u32,
    pub checksum: u32,
}

impl Header {
    /// Reads the fields of `bytes`; what is not there is 0.
    pub fn read(bytes: &[u8]) -> Header {
        let field = |number: usize| number_of(bytes.get(6 + 8 * number..).unwrap_or_default());
        Header {
            magic: bytes.first_chunk().copied().unwrap_or_default(),
            ino: field(0),
            mode: field(1) as u16,
            uid: field(2),
            gid: field(3),
            nlink: field(4),
            mtime: field(5),
            size: field(6),
            device: (field(7), field(8)),
            rdev: device_number(field(9), field(10)),
            name_size: field(11),
            checksum: field(12),
        }
    }

    /// The sum of the data's bytes, which one of the two magics has.
    pub fn sum(&self) -> Option<u32> {
        (self.magic == *b"070702").then_some(self.checksum)
    }

    /// The bytes that the name takes with its padding: header and name end at a multiple of four.
    pub fn padded_name(&self) -> u64 {
        let end = SIZE as u64 + u64::from(self.name_size);
        // The kernel's own rounding gives an empty name two bytes, as this does.
        end.next_multiple_of(4) - SIZE as u64
    }
}

/// Hexadecimal digits up to the first other byte, after an optional `0x` (`simple_strtoul`).
fn number_of(bytes: &[u8]) -> u32 {
    let field = bytes.get(..8).unwrap_or(bytes);
    let digits = match field {
        [b'0', b'x' | b'X', rest @ ..] => rest,
        _ => field,
    };
    let values = digits
        .iter()
        .map_while(|&byte| char::from(byte).to_digit(16));
    values.fold(0, |number, digit| number << 4 | digit)
}

/// A device's number goes through 32 bits, 20 of them for the minor (`MKDEV`): a minor that has
/// more spills into the major.
fn device_number(major: u32, minor: u32) -> (u32, u32) {
    let whole = major << 20 | minor;
    (whole >> 20, whole & 0xf_ffff)
}

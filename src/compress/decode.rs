//! STAND-IN until the real one lands.
use super::format::Format;
use std::io::{BufRead, Read};
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DecodeError {
    #[error("{0}")]
    Corrupt(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Member {}
#[allow(missing_docs)]
pub enum Decoder<R: BufRead> {
    Gzip(flate2::bufread::GzDecoder<R>),
    Zstd(zstd::Decoder<'static, R>),
}
impl<R: BufRead> Decoder<R> {
    #[allow(missing_docs)]
    pub fn new(format: Format, input: R, _memory: u64) -> Self {
        match format {
            Format::Zstd => {
                Decoder::Zstd(zstd::Decoder::with_buffer(input).unwrap().single_frame())
            }
            _ => Decoder::Gzip(flate2::bufread::GzDecoder::new(input)),
        }
    }
    #[allow(missing_docs)]
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        match self {
            Decoder::Gzip(d) => d.read(out),
            Decoder::Zstd(d) => d.read(out),
        }
        .map_err(|e| DecodeError::Corrupt(e.to_string()))
    }
    #[allow(missing_docs)]
    pub fn get_ref(&self) -> &R {
        match self {
            Decoder::Gzip(d) => d.get_ref(),
            Decoder::Zstd(d) => d.get_ref(),
        }
    }
    #[allow(missing_docs)]
    pub fn finish(self) -> (R, Member) {
        (
            match self {
                Decoder::Gzip(d) => d.into_inner(),
                Decoder::Zstd(d) => d.finish(),
            },
            Member {},
        )
    }
}

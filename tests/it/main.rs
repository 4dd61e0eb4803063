//! What the library makes, held against the tools that others use.

#[cfg(test)]
mod compress; // encoders and decoders against gzip, xz, zstd, lz4 and python's zlib

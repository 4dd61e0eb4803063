#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xinitrd_fuzz::readers::package(bytes));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| qdemo::testing::fuzzing::journal(data));

//! A configuration, and overrides as `--set` takes them. Zero bytes separate them.
#![no_main]

use gan_cli::fuzzing::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0);
    let path = gan_fuzz::file("config.toml", parts.next().unwrap_or_default());
    let sets: Vec<String> = parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let written = gan_fuzz::memory::limit(input.len(), 512, || config(&path, &sets));
    if let Ok(written) = written {
        let path = gan_fuzz::file("written.toml", written.as_bytes());
        assert_eq!(config(&path, &[]).expect("what the program wrote"), written);
    }
});

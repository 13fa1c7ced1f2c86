//! The journal of a run, as a resume and `diagnose` read it. For even choices, every line gets a
//! right checksum.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, content)) = gan_fuzz::choice(input) else { return };
    let content = if choice % 2 == 0 {
        let mut last = 0;
        let sealed = content.split(|byte| *byte == b'\n').flat_map(|line| {
            let line = gan_files::seal_after(last, line);
            last = gan_files::checksum(&line).expect("a sealed line");
            [&line[..], b"\n"].concat()
        });
        sealed.collect()
    } else {
        content.to_vec()
    };
    gan_fuzz::file("metrics.jsonl", &content);
    gan_fuzz::memory::limit(content.len(), 256, || {
        let _ = gan_cli::fuzzing::journal(gan_fuzz::directory());
    });
});

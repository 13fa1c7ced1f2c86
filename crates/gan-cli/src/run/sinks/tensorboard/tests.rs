//! Reads event files as `TensorBoard` does.

use super::file::masked;
use super::proto::{Content, SESSION_START, What};
use super::*;
use crate::records::LossesLine;
use crate::run::Begun;
use prost::Message;
use std::collections::BTreeMap;
use std::path::Path;

/// The messages of all event files of a run, in the order of their names, as a reader finds them.
fn events(run: &Path) -> Vec<proto::Event> {
    let files = gan_files::entries(run).unwrap();
    let is_ours = |path: &PathBuf| is_event_file(path.file_name().unwrap().to_str().unwrap());
    let mut events = vec![];
    for file in files.into_iter().filter(is_ours) {
        let bytes = std::fs::read(file).unwrap();
        let mut rest = &bytes[..];
        while let Some((length, after)) = rest.split_first_chunk::<8>() {
            let (checksum, after) = after.split_at(4);
            assert_eq!(checksum, masked(length));
            let (message, after) = after.split_at(u64::from_le_bytes(*length) as usize);
            assert_eq!(after[..4], masked(message));
            events.push(proto::Event::decode(message).unwrap());
            rest = &after[4..];
        }
    }
    events
}

/// The values of each tag by step, after what readers forget.
fn values(run: &Path) -> BTreeMap<(String, i64), Content> {
    let mut values = BTreeMap::new();
    for event in events(run) {
        match event.what.unwrap() {
            What::FileVersion(version) => assert_eq!(version, "brain.Event:2"),
            What::SessionLog(log) => {
                assert_eq!(log.status, SESSION_START);
                values.retain(|(_, step), _| *step < event.step);
            }
            What::Summary(summary) => {
                for value in summary.value {
                    let before = values.insert((value.tag.clone(), event.step), value.content.unwrap());
                    assert!(before.is_none() || event.step == 0, "{} twice at {}", value.tag, event.step);
                }
            }
        }
    }
    values
}

fn losses(step: u64) -> LossesLine {
    LossesLine {
        step,
        epoch: 0.5,
        images: 64 * step,
        seconds: 1.,
        images_per_s: 64.,
        d_loss: step as f32,
        g_loss: 0.25,
        penalty: None,
        d_real: Some(0.75),
        d_fake: None,
        lr_g: 1e-3,
        lr_d: 1e-4,
    }
}

fn sink(run: &RunDir) -> TensorBoard {
    let config = Config::load(Path::new("mnist-5k"), &["train.tensorboard=true".to_owned()]).unwrap();
    TensorBoard::of(run, &config).unwrap()
}

#[test]
fn the_checksum_is_that_of_tensorflow() {
    // The length of the first record of every file of TensorFlow, 24 bytes, and its checksum.
    assert_eq!(masked(&24u64.to_le_bytes()), [0xa3, 0x7f, 0x4b, 0x22]);
}

#[test]
fn a_resume_and_a_rollback_leave_no_step_twice() {
    let directory = tempfile::tempdir().unwrap();
    let run = RunDir::create(&directory.path().join("run")).unwrap();
    let png = gan_data::Grid::new(
        &candle_core::Tensor::zeros((2, 3, 5, 5), candle_core::DType::F32, &candle_core::Device::Cpu)
            .unwrap(),
        2,
    );
    let png = png.unwrap().to_png().unwrap();
    for start in [0, 20] {
        let mut sink = sink(&run);
        sink.hear(&Event::Begun(&Begun { step: start, steps: 99, images_per_step: 64 })).unwrap();
        for step in [10, 20, 30, 40].into_iter().filter(|&step| step > start) {
            sink.hear(&Event::Losses(&losses(step))).unwrap();
            sink.hear(&Event::Drawn { step, png: &png }).unwrap();
        }
        if start == 20 {
            sink.file.as_ref().unwrap().forget_after(30).unwrap();
            sink.hear(&Event::Begun(&Begun { step: 30, steps: 99, images_per_step: 64 })).unwrap();
            sink.hear(&Event::Losses(&losses(40))).unwrap();
        }
    }
    let values = values(run.path());
    let steps = |tag: &str| {
        let of_tag = values.iter().filter(|((name, _), _)| name == tag);
        of_tag.map(|((_, step), value)| (*step, value.clone())).collect::<Vec<_>>()
    };
    let expected = [10, 20, 30, 40].map(|step| (step, Content::Scalar(step as f32)));
    assert_eq!(steps("train/d_loss"), expected);
    assert_eq!(steps("train/d_real")[0].1, Content::Scalar(0.75));
    assert!(steps("train/d_fake").is_empty() && steps("train/step").is_empty());
    assert_eq!(steps("samples").iter().map(|(step, _)| *step).collect::<Vec<_>>(), [10, 20, 30]);
    let Content::Image(image) = &steps("samples")[0].1 else { panic!("no image") };
    assert_eq!((image.height, image.width, image.colorspace, &image.encoded), (9, 16, 3, &png));
    let Content::Tensor(text) = &steps("configuration")[0].1 else { panic!("no text") };
    assert!(String::from_utf8(text.strings[0].clone()).unwrap().contains("tensorboard = true"));
    assert_eq!(steps("_hparams_/session_start_info").len(), 2);
}

#[test]
fn records_become_numbers_with_the_names_of_their_fields() {
    let record = serde_json::json!({
        "step": 3, "name": "x", "generator": { "update": 0.5 }, "range": [-1, 1], "shares": [0.1, 0.2, 0.7]
    });
    let names = |longest| flat(&record, longest).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(LONGEST), ["generator/update", "name", "range/0", "range/1", "step"]);
    assert_eq!(names(usize::MAX), ["generator/update", "name", "range", "shares", "step"]);
}

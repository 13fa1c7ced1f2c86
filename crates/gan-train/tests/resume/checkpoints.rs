//! Tests: which checkpoints are found, and which are refused.

use super::*;
use gan_train::checkpoint::Retention;
use std::path::PathBuf;

#[test]
fn old_checkpoints_go_and_damaged_ones_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut trainer = trainer(3);
    assert_eq!(checkpoint::newest(directory.path()).unwrap(), None);
    let mut paths = vec![];
    for steps in 1..=4 {
        fit(&mut trainer, steps, batch, &mut []).unwrap();
        paths.push(save(directory.path(), &trainer, 2));
    }
    assert!(!paths[0].exists() && !paths[1].exists() && paths[2].exists());
    assert_eq!(checkpoint::newest(directory.path()).unwrap().as_ref(), Some(&paths[3]));

    // The leftovers of a crash are deleted. A checkpoint with a truncated file is damaged.
    let leftover = directory.path().join(".gan-unfinished-Ab3dE9");
    std::fs::create_dir(&leftover).unwrap();
    let file = paths[3].join("optimizer.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 4]).unwrap();
    assert_eq!(checkpoint::newest(directory.path()).unwrap().as_ref(), Some(&paths[2]));
    assert!(!leftover.exists());
    let message = load(&paths[3]).unwrap_err().to_string();
    assert!(message.contains("optimizer.safetensors: damaged: expected SHA-256"), "{message}");

    // Step 4 is written again over the damaged checkpoint, and step 3 is kept.
    let (mut again, _) = load(&paths[2]).unwrap();
    fit(&mut again, 4, batch, &mut []).unwrap();
    save(directory.path(), &again, 2);
    assert_eq!(checkpoint::newest(directory.path()).unwrap().as_ref(), Some(&paths[3]));
    assert!(paths[2].exists());

    for path in &paths[2..] {
        std::fs::remove_file(path.join("state.json")).unwrap();
    }
    assert!(checkpoint::newest(directory.path()).is_err());
}

#[test]
fn another_runs_checkpoint_is_refused_by_the_key_that_differs() {
    let directory = tempfile::tempdir().unwrap();
    let settings = |lr: &str| BTreeMap::from([("train.generator.lr".to_owned(), lr.to_owned())]);
    let path = checkpoint::save(
        directory.path(),
        &trainer(3),
        &Provenance::default(),
        &settings("0.0002"),
        0.,
        Value::Null,
    )
    .unwrap();
    let error = checkpoint::load(&path, &model(), &train(), 3, &settings("0.1"), &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("train.generator.lr was 0.0002 in the run to resume, the configuration says 0.1"),
        "{error}"
    );
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("in-the-way");
    std::fs::write(&file, "").unwrap();
    let error = checkpoint::save(
        &file.join("checkpoints"),
        &trainer(3),
        &Provenance::default(),
        &BTreeMap::new(),
        0.,
        Value::Null,
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("in-the-way/checkpoints"), "{error}");
}

#[test]
fn healthy_states_are_kept_to_go_back_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut trainer = trainer(3);
    let steps = || {
        let names = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut steps: Vec<u64> = names.map(|n| n.trim_start_matches("step-").parse().unwrap()).collect();
        steps.sort_unstable();
        steps
    };
    for step in 0..6 {
        trainer.step(batch(step).unwrap()).unwrap();
        let settings = BTreeMap::from([("lr".to_owned(), "1".to_owned())]);
        let provenance = Provenance::default();
        let path =
            checkpoint::save(directory.path(), &trainer, &provenance, &settings, 0., Value::Null).unwrap();
        // Checkpoint 1 is kept, so that the run can go back to step 1. It cannot go back to step
        // 0, because there is no checkpoint at step 0.
        checkpoint::prune(&path, &retention(2, &[0, 1, 3, 4])).unwrap();
    }
    assert_eq!(steps(), [1, 3, 4, 5, 6]);
    let at = |step: u64| Some(directory.path().join(format!("step-{step:08}")));
    let newest = |until| checkpoint::newest_until(directory.path(), until, &|_| true).unwrap();
    assert_eq!((newest(2), newest(4)), (at(1), at(4)));
    // The run continues only with the other settings. A second call must change nothing.
    let settings = |lr: &str| BTreeMap::from([("lr".to_owned(), lr.to_owned())]);
    for _ in 0..2 {
        checkpoint::go_back(directory.path(), 3, &settings("0.5")).unwrap();
        assert_eq!(steps(), [1, 3]);
        for path in [at(1).unwrap(), at(3).unwrap()] {
            assert!(checkpoint::check(&path, &settings("0.5")).is_ok());
            assert!(matches!(checkpoint::check(&path, &settings("1")), Err(TrainError::Mismatch { .. })));
        }
    }
}

fn saved(directory: &Path, steps: std::ops::RangeInclusive<u64>) -> Vec<PathBuf> {
    let mut trainer = trainer(3);
    let save = |trainer: &Trainer| {
        checkpoint::save(directory, trainer, &Provenance::default(), &BTreeMap::new(), 0., Value::Null)
            .unwrap()
    };
    let paths = steps.map(|step| {
        fit(&mut trainer, step, batch, &mut []).unwrap();
        save(&trainer)
    });
    paths.collect()
}

#[test]
fn a_checkpoint_of_an_interruption_is_kept_while_it_is_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let paths = saved(directory.path(), 1..=6);
    let is_regular = |step: u64| step.is_multiple_of(2);
    let left = || paths.iter().map(|path| u8::from(path.exists())).collect::<Vec<_>>();
    let keep = Retention { last: 2, ways_back: &[], is_regular: &is_regular };
    checkpoint::prune(&paths[4], &keep).unwrap();
    assert_eq!(left(), [0, 1, 0, 1, 1, 1]);
    assert_eq!(checkpoint::newest(directory.path()).unwrap().as_ref(), Some(&paths[5]));
    let before = checkpoint::newest_until(directory.path(), 5, &is_regular).unwrap();
    assert_eq!(before.as_ref(), Some(&paths[3]));
    checkpoint::prune(&paths[5], &Retention { ways_back: &[3], ..keep }).unwrap();
    assert_eq!(left(), [0, 1, 0, 1, 0, 1]);
}

#[test]
fn every_changed_bit_of_a_state_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let paths = saved(directory.path(), 1..=1);
    let file = paths[0].join("state.json");
    let whole = std::fs::read(&file).unwrap();
    assert!(load(&paths[0]).is_ok());
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, &damaged).unwrap();
        assert!(load(&paths[0]).is_err(), "{bit}");
    }
    std::fs::write(&file, &whole).unwrap();
    // Another step's directory.
    let renamed = directory.path().join("step-00000002");
    std::fs::rename(&paths[0], &renamed).unwrap();
    let problem = load(&renamed).unwrap_err().to_string();
    assert!(
        problem.ends_with("state.json: a checkpoint of step 1, in a directory of another name"),
        "{problem}"
    );
}

#[test]
fn what_others_put_there_is_not_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let paths = saved(directory.path(), 1..=3);
    let at = |name: &str| directory.path().join(name);
    assert_eq!(checkpoint::foreign(directory.path()).unwrap(), None);
    let others = ["step-1/model.pt", "step-00000009/model.pt", "step-00000009.bak/x", ".tmp-notes/x"];
    for other in others {
        std::fs::create_dir_all(at(other).parent().unwrap()).unwrap();
        std::fs::write(at(other), "kept").unwrap();
    }
    std::fs::write(paths[0].join("notes.txt"), "kept").unwrap();
    assert_eq!(checkpoint::foreign(directory.path()).unwrap(), Some(paths[0].clone()));
    assert_eq!(checkpoint::newest(directory.path()).unwrap().as_ref(), Some(&paths[2]));
    checkpoint::prune(&paths[2], &retention(1, &[])).unwrap();
    checkpoint::go_back(directory.path(), 0, &BTreeMap::new()).unwrap();
    for other in others.map(at).into_iter().chain([paths[0].join("notes.txt")]) {
        assert_eq!(std::fs::read_to_string(other).unwrap(), "kept");
    }
    assert_eq!(paths.iter().map(|path| path.exists()).collect::<Vec<_>>(), [true, false, false]);
}

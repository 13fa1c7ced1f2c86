//! Tests the page and the table about runs.

use crate::program::{fail, run, small, small_with, succeed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[test]
fn a_page_has_all_that_runs_wrote_and_needs_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let judged = ["--set", "train.evaluate.every-kimg=0", "--set", "train.evaluate.count=64"];
    succeed(at, &small_with(&small("first"), &[&judged[..], &["--set", "train.sample-every=20"]].concat()));
    let wrong =
        ["--set", "data.range=zero-one", "--set", "train.health.every=20", "--set", "model.channels=3"];
    let odd = "<b>odd & \"second\"";
    succeed(at, &small_with(&small(odd), &wrong));
    succeed(at, &["report", "first", odd, "--out", "both.html"]);
    let page = std::fs::read_to_string(at.join("both.html")).unwrap();
    // Nothing is loaded: neither a script, nor a style sheet, nor a picture.
    for part in ["src=\"http", "href=\"http", "<link", "@import", "url("] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(
        !page.contains("<b>odd") && page.contains("&#60;b&#62;odd &#38; &#34;second&#34;"),
        "names are text"
    );
    for part in [
        "range mismatch since step 0",
        "<b>Usual cause:</b>",
        "mnist-fd",
        "<th>precision</th>",
        "model.channels",
        "ConvTranspose2d",
        "SHA-256 ",
        "seed = 0",
    ] {
        let is_there = page.contains(part) || part == "ConvTranspose2d" && page.contains("Linear(");
        assert!(is_there, "{part}");
    }
    for step in [20, 40] {
        let png = std::fs::read(at.join(format!("first/samples/step-{step:08}.png"))).unwrap();
        assert!(page.contains(&STANDARD.encode(png)), "{step}");
    }
    // A grid whose file is damaged is left out, and said.
    std::fs::write(at.join("first/samples/step-00000020.png"), "no picture").unwrap();
    let output = run(at, &["report", "first", "--out", "one.html"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("passing over a damaged grid: first/samples/step-00000020.png: "), "{log}");
    let one = std::fs::read_to_string(at.join("one.html")).unwrap();
    assert!(!one.contains(&STANDARD.encode("no picture")) && output.status.success());
    // The table of the evaluation has real images beside the generated ones.
    let line = std::fs::read_to_string(at.join("first/metrics.jsonl")).unwrap();
    let line = line.lines().find(|line| line.contains("\"evaluate\"")).unwrap().to_owned();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(line["floor"]["precision"].as_f64().unwrap() > line["evaluate"]["precision"].as_f64().unwrap());
    assert!(page.matches("class=\"floor\"").count() > 8 && page.matches("<polyline").count() > 6);

    let table = succeed(at, &["compare", "first", odd]);
    for part in ["verdicts", "none in 2 checks", "range mismatch", "data.range", "\"zero-one\"", "mnist-fd "]
    {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert!(!table.contains("train.steps"), "{table}");
    // Without a name, no page is overwritten.
    succeed(at, &["report", "first"]);
    succeed(at, &["report", "first"]);
    assert!(at.join("report.html").exists() && at.join("report-2.html").exists());
    let error = fail(at, &["report", "first", "--out", "first/best/x.html"], 2);
    assert!(error.contains("--out: first/best/x.html belongs to the run "), "{error}");
    let error = fail(at, &["report", "first", "--out", "page.pdf"], 2);
    assert!(error.contains("--out: expected X.html, found page.pdf"), "{error}");
    let error = fail(at, &["compare", "first", "."], 2);
    assert!(
        error.contains(".: expected the directory of a run, with config.toml and metrics.jsonl"),
        "{error}"
    );
    // What was not checked was not found to be healthy, and the last step counts.
    let odd = ["--set", "train.health.every=0", "--set", "train.steps=13", "--set", "train.log-every=10"];
    succeed(at, &small_with(&small("unchecked"), &odd));
    let table = succeed(at, &["compare", "unchecked"]);
    let has = |name: &str, value: &str| {
        table
            .lines()
            .any(|line| line.split_once("  ").is_some_and(|(n, v)| n.trim() == name && v.trim() == value))
    };
    assert!(has("verdicts", "not checked") && has("steps", "13"), "{table}");
    // A page of this program may be replaced, and nothing else.
    succeed(at, &["report", "first", "--out", "both.html"]);
    std::fs::write(at.join("mine.html"), "<p>mine").unwrap();
    let error = fail(at, &["report", "first", "--out", "mine.html"], 2);
    assert!(error.contains("--out: mine.html exists, and gan-cli did not write it"), "{error}");
    // Damage is said.
    let journal = at.join("first/metrics.jsonl");
    let whole = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, whole.replacen("d_loss", "d_lose", 1)).unwrap();
    let log = String::from_utf8(run(at, &["compare", "first"]).stderr).unwrap();
    assert!(log.contains("metrics.jsonl: passing over damaged lines"), "{log}");
    std::fs::write(&journal, whole).unwrap();
    // A page about a run that has just begun.
    std::fs::create_dir(at.join("young")).unwrap();
    std::fs::copy(at.join("first/config.toml"), at.join("young/config.toml")).unwrap();
    std::fs::write(at.join("young/metrics.jsonl"), "").unwrap();
    succeed(at, &["report", "young", "--out", "young.html"]);
    assert!(std::fs::read_to_string(at.join("young.html")).unwrap().contains("young has drawn no grid"));
}

/// Distances over another number of images cannot be compared, and a card is about the weights beside it.
#[test]
fn the_best_evaluation_is_of_those_that_can_be_compared() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let judged = |count: &'static str| ["--set", "train.evaluate.every-kimg=0", "--set", count];
    let first = [&judged("train.evaluate.count=500")[..], &["--set", "train.steps=20"]].concat();
    succeed(at, &small_with(&small("run"), &first));
    let more = ["train", "--out", "run", "--resume", "--set", "train.steps=40"];
    succeed(at, &[&more[..], &judged("train.evaluate.count=64")].concat());
    let best: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at.join("run/best/evaluation.json")).unwrap()).unwrap();
    assert_eq!((&best["step"], &best["count"]), (&40.into(), &64.into()));
    let lines = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let judged: Vec<_> = lines.filter(|line| line.get("evaluate").is_some()).collect();
    let distance = |line: &serde_json::Value| line["evaluate"]["mnist_fd"].as_f64().unwrap();
    assert!(judged.len() == 2 && distance(&judged[0]) < distance(&judged[1]), "{judged:?}");
    let table = succeed(at, &["compare", "run"]);
    assert!(table.contains("at step 40") && !table.contains("at step 20"), "{table}");
    succeed(at, &["export", "run", "--format", "hub", "--out", "model"]);
    let card = std::fs::read_to_string(at.join("model/README.md")).unwrap();
    let value = format!("value: {}", distance(&judged[1]));
    assert!(card.contains("Measured at step 40") && card.contains(&value), "{card}");
}

/// What a table of evaluations says of runs that were judged by different features.
#[test]
fn distances_by_different_features_have_a_row_each() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let judged = ["--set", "train.evaluate.every-kimg=0", "--set", "train.evaluate.count=64"];
    succeed(at, &small_with(&small("a"), &judged));
    succeed(
        at,
        &small_with(&small("b"), &[&judged[..], &["--set", "train.evaluate.features=random"]].concat()),
    );
    succeed(at, &["report", "a", "b", "--out", "r.html"]);
    let page = std::fs::read_to_string(at.join("r.html")).unwrap();
    let row = |name: &str| {
        let (_, rest) = page.split_once(&format!("<tr><th>{name}</th>")).unwrap();
        let cells = rest.split_once("</tr>").unwrap().0.split("<td").skip(1);
        cells.map(|cell| cell.split_once('>').unwrap().1.replace("</td>", "")).collect::<Vec<_>>()
    };
    let (digits, random) = (row("mnist-fd"), row("random-fd"));
    assert!(!digits[0].is_empty() && !digits[1].is_empty() && digits[2].is_empty() && digits[3].is_empty());
    assert!(random[0].is_empty() && random[1].is_empty() && !random[2].is_empty() && !random[3].is_empty());
    assert_eq!(row("images")[0], "64");
    assert!(row("features")[0] != row("features")[2] && row("features")[4].contains("cannot be compared"));
    // A run in epochs has as many steps as it made.
    let epochs = ["--set", "train.epochs=1", "--set", "train.d-steps=3", "--set", "train.log-every=1"];
    succeed(at, &small_with(&small("epoch"), &[&epochs[..], &["--set", "data.limit=160"]].concat()));
    let table = succeed(at, &["compare", "epoch"]);
    let steps = table.lines().find(|line| line.starts_with("steps")).unwrap();
    assert!(!steps.contains(" of "), "{table}");
}

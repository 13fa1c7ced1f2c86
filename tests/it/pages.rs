//! Drives the served page in Chromium, as a reader does.

use crate::board::Board;
use crate::browser::Browser;
use crate::program::{gan_cli, small, small_with, succeed};
use serde_json::json;
use std::path::Path;
use std::process::{Child, Stdio};

/// A training that ends with the test.
struct Training(Child);

impl Training {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.end();
    }
}

/// Everything that a reader does, in a browser.
#[test]
fn the_pages_work_in_a_browser() {
    let Some(browser) = Browser::start() else {
        eprintln!("SKIPPED: the pages in a browser. To test them, install Chromium and its chromedriver");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("runs/done"), &["--set", "model.classes=10"]));
    let args = small("runs/live");
    let long =
        ["--set", "train.steps=1000000", "--set", "train.sample-every=200", "--set", "train.log-every=100"];
    let training = gan_cli(at, &small_with(&args, &long)).stderr(Stdio::null()).spawn().unwrap();
    let training = Training(training);
    let board = Board::start(at, &["runs"]);
    let open = |path: &str| browser.open(&format!("http://{}{path}", board.address));
    a_run_is_seen_growing(&browser, at, &open, training);
    the_explorer_draws(&browser, &open);

    // On a narrow screen, nothing is cut off.
    browser.resize(500, 800);
    for path in ["/", "/report?run=live&run=done", "/explore?run=done"] {
        open(path);
        browser.wait("document.readyState == 'complete'");
        browser.wait("document.documentElement.scrollWidth <= innerWidth");
    }
    browser.show("narrow");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Watches a run in the list and on its own page while it trains, and after it has ended.
fn a_run_is_seen_growing(browser: &Browser, at: &Path, open: &dyn Fn(&str), mut training: Training) {
    // A run that trains is seen growing, in the list and on its own page.
    open("/");
    browser.wait("document.body.textContent.includes('training')");
    browser.wait("document.getElementById('compare').disabled");
    browser.run("document.getElementById('choose-live').click()");
    browser.wait("!document.getElementById('compare').disabled");
    let steps = "document.querySelector('.cards').textContent.match(/(\\d+) of 1000000/)?.[1]";
    let before = browser.run(&format!("return {steps}"));
    browser.wait(&format!("{steps} && {steps} != {before}"));
    browser.show("runs");
    open("/report?run=live");
    browser.wait("document.querySelectorAll('.strip figure').length > 1");
    let figures = "document.querySelectorAll('.strip figure').length";
    let curve = "document.querySelector('.charts polyline').getAttribute('points').length";
    let [grids, points] = [figures, curve].map(|what| browser.run(&format!("return {what}")));
    browser.wait(&format!("{figures} > {grids} && {curve} > {points}"));
    assert_eq!(browser.run("return document.querySelectorAll('.strip figure.shown').length"), json!(1));
    // The newest grid stays the shown one, and one that the reader has chosen stays too.
    assert_eq!(
        browser.run("return document.querySelector('.strip figure:last-child').className"),
        json!("shown")
    );
    // A grid that was drawn again is shown, though there are as many as before.
    let stopped = "document.getElementById('summary').textContent.includes('live is training')";
    browser.wait(stopped);
    browser.show("report");
    training.end();
    browser.wait(&format!("!({stopped})"));
    let newest = "document.querySelector('.strip figure:last-child img').src";
    let before = browser.run(&format!("return {newest}"));
    let mut grids: Vec<_> =
        std::fs::read_dir(at.join("runs/live/samples")).unwrap().map(|grid| grid.unwrap().path()).collect();
    grids.sort();
    let (first, last) = (&grids[0], &grids[grids.len() - 1]);
    let drawn = std::fs::read(first).unwrap();
    std::fs::remove_file(last).unwrap();
    std::fs::write(last, drawn).unwrap();
    browser.wait(&format!("{newest} != {before}"));
    open("/report?run=live&run=done");
    browser.wait("document.querySelectorAll('.legend .swatch').length == 2");
}

/// Uses the explorer with the keyboard, the mouse and values.
fn the_explorer_draws(browser: &Browser, open: &dyn Fn(&str)) {
    let text = |id: &str| format!("document.getElementById('{id}').textContent");
    let enter = |id: &str, value: &str| {
        browser.run(&format!(
            "const field = document.getElementById('{id}'); field.value = {value}; field.dispatchEvent(new Event('input'))"
        ));
    };
    // The keyboard alone.
    open("/explore?run=done");
    browser.wait("document.body.dataset.drawn >= 1");
    browser.run("document.querySelector('#grid button').focus()");
    browser.press(&["Right", "Right", "Down", "Enter"]);
    browser.wait(&format!("{} == '10 of seed 0'", text("chosen-name")));
    browser.run("document.getElementById('pick').focus()");
    browser.press(&["Enter"]);
    browser.run("document.querySelectorAll('#grid button')[3].focus()");
    browser.press(&["Space"]);
    browser.wait(&format!("{} == '3 of seed 0'", text("chosen-name")));
    browser.run("document.getElementById('pick').focus()");
    browser.press(&["Enter", "Tab", "Enter"]);
    browser.wait("document.querySelectorAll('#picks li').length == 2");
    browser.wait("document.querySelectorAll('#grid button')[3].className.includes('locked')");
    // The path from one picked image to the other, dragged.
    let picture = |id: &str| browser.run(&format!("return document.getElementById('{id}').toDataURL()"));
    browser.wait("document.body.dataset.mixed >= 2");
    let middle = picture("between");
    browser.drag("path", [0.5, 0.98]);
    browser.wait(&format!("document.getElementById('between').toDataURL() != {middle}"));
    browser.wait("document.getElementById('path').value > 0.9");
    browser.run("document.getElementById('direction-1').focus()");
    let first = "document.querySelector('#grid canvas').toDataURL()";
    let still = browser.run(&format!("return {first}"));
    browser.press(&["Right"; 20]);
    browser.wait(&format!("{first} != {still}"));
    // Another seed leaves the locked image where it is.
    let locked = "document.querySelectorAll('#grid canvas')[3].toDataURL()";
    let (kept, drawn) =
        (browser.run(&format!("return {locked}")), browser.run("return document.body.dataset.drawn"));
    enter("seed", "7");
    browser.wait(&format!("document.body.dataset.drawn > {drawn} && {first} != {still}"));
    assert_eq!(browser.run(&format!("return {locked}")), kept);
    enter("seed", "-5");
    browser.wait(&format!("{}.startsWith('A seed is a whole number')", text("problem")));
    enter("seed", "7");
    browser.wait(&format!("{} == ''", text("problem")));
    browser.run("document.getElementById('copies').click()");
    browser.wait("document.querySelectorAll('.nearest canvas').length == 8");
    browser.show("explore");
    // The address restores the view.
    let (address, shown) = (browser.run("return location.href"), browser.run(&format!("return {first}")));
    open("/");
    browser.open(address.as_str().unwrap());
    browser.wait("document.body.dataset.drawn >= 1 && document.body.dataset.mixed >= 1");
    assert_eq!(browser.run(&format!("return {first}")), shown);
    assert_eq!(browser.run("return document.querySelectorAll('#picks li').length"), json!(2));
    // Two classes mixed. What was said of another image is gone.
    for (id, value) in [("class", "3"), ("second", "8"), ("share", "0.5")] {
        enter(id, value);
    }
    browser.wait(&format!("{first} != {shown}"));
    assert_eq!(browser.run("return document.querySelectorAll('.nearest').length"), json!(0));
}

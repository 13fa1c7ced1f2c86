//! Tests the served page: what it answers, and whom it refuses. pages.rs tests it in a browser.

use crate::health::GOES_BACK;
use crate::program::{fail, gan_cli, small, small_with, succeed};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A server in a directory.
pub(crate) struct Board {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Board {
    pub(crate) fn start(at: &Path, directories: &[&str]) -> Self {
        let args = [&["board", "--port", "0"], directories].concat();
        let mut child = gan_cli(at, &args).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let (_, rest) = line.split_once("http://")?;
            Some(rest.split_once('/')?.0.to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.unwrap() }
    }

    /// Sends bytes and returns the status, the head and the body of the answer.
    fn raw(&self, request: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(answer.len());
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, head, answer.get(end + 4..).unwrap_or_default().to_vec())
    }

    fn request(&self, line: &str, headers: &str, body: &str) -> (u16, String, Vec<u8>) {
        let (host, length) = (&self.address, body.len());
        let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n");
        self.raw(format!("{head}Connection: close\r\n{headers}\r\n{body}").as_bytes())
    }

    fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        self.request(&format!("GET {path}"), "", "")
    }

    fn page(&self, path: &str) -> String {
        let (status, head, body) = self.get(path);
        let body = String::from_utf8(body).unwrap();
        assert!(
            status == 200 && head.contains("content-security-policy: default-src 'none'"),
            "{path} {head} {body}"
        );
        body
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Vec<u8>) {
        let json = "Content-Type: application/json\r\n";
        let (status, _, body) = self.request(&format!("POST {path}"), json, &body.to_string());
        (status, body)
    }
}

/// The images 0, 1, ... of a seed.
fn view(run: &str, count: u32) -> Value {
    let images: Vec<Value> = (0..count).map(|index| json!({ "of": [[5, index, 1.]] })).collect();
    json!({ "run": run, "weights": "last", "images": images })
}

fn encoded(view: &Value) -> String {
    form_urlencoded::byte_serialize(view.to_string().as_bytes()).collect()
}

#[test]
fn pages_show_what_runs_wrote_and_images_are_those_of_sample() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("runs/first"), &["--set", "model.classes=10"]));
    succeed(at, &small_with(&small("runs/<b>odd & 2nd"), &["--set", "train.health.every=0"]));
    std::fs::write(at.join("runs/notes.txt"), "mine").unwrap();
    let mut board = Board::start(at, &[]);
    let list = board.page("/");
    assert!(list.contains("verdicts: not checked") && list.contains("nothing learned yet"), "{list}");
    assert!(list.contains("finished") && list.contains("&#60;b&#62;odd &#38; 2nd"), "{list}");
    assert_eq!(list.matches("<li>").count(), 2);
    let report = board.page("/report?run=first&run=%3Cb%3Eodd%20%26%202nd");
    assert!(report.contains("/grid?run=first&#38;step=40") && report.contains("model.classes"), "{report}");
    assert!(!report.contains("<style") && !report.contains("<script>"));
    let grid = std::fs::read(at.join("runs/first/samples/step-00000040.png")).unwrap();
    assert_eq!(board.get("/grid?run=first&step=40").2, grid);
    assert!(board.page("/explore?run=first").contains("data-run=\"first\""));

    let known: Value = serde_json::from_str(&board.page("/api/generators?run=first")).unwrap();
    assert_eq!(known["weights"], json!(["last", "step 40", "step 30"]));
    assert_eq!([&known["classes"], &known["directions"], &known["height"]], [10, 8, 28]);
    let view = view("first", 9);
    let (status, pixels) = board.post("/api/draw", &view);
    assert_eq!((status, pixels.len()), (200, 9 * 28 * 28));
    succeed(at, &["sample", "runs/first", "--seed", "5", "--count", "9", "--out", "x.png"]);
    let (status, _, png) = board.get(&format!("/draw.png?view={}", encoded(&view)));
    assert!(status == 200 && png == std::fs::read(at.join("x.png")).unwrap());
    // Other images have another name.
    let name_of = |view: &Value| {
        let (_, head, _) = board.get(&format!("/draw.png?view={}", encoded(view)));
        let (_, name) = head.split_once("filename=\"").unwrap();
        name.split_once('"').unwrap().0.to_owned()
    };
    let mut moved = view.clone();
    moved["moves"] = json!([1.5]);
    let names = [&view, &moved].map(name_of);
    assert!(names[0].starts_with("first-seed-5-9-images-") && names[0] != names[1], "{names:?}");
    assert_eq!(names[0], name_of(&view));
    let (_, _, latents) = board.get(&format!("/latents.npy?view={}", encoded(&view)));
    std::fs::write(at.join("z.npy"), latents).unwrap();
    succeed(at, &["sample", "runs/first", "--latents", "z.npy", "--out", "y.png"]);
    assert!(png == std::fs::read(at.join("y.png")).unwrap());
    let image = image::load_from_memory(&png).unwrap().into_luma8();
    assert_eq!(image.get_pixel(2 + 30, 2 + 7).0[0], pixels[28 * 28 + 28 * 7]);

    let (status, nearest) = board.post("/api/nearest", &view);
    let nearest: Value = serde_json::from_slice(&nearest).unwrap();
    assert!(status == 200 && nearest["nearest"].as_array().unwrap().len() == 8, "{nearest}");
    assert!(nearest["usual"].as_f64().unwrap() > 1.);

    // A signal is the usual end.
    let id = board.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(board.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_list_says_that_a_run_went_back() {
    let directory = tempfile::tempdir().unwrap();
    let sets: Vec<&str> = GOES_BACK.iter().flat_map(|set| ["--set", *set]).collect();
    fail(directory.path(), &small_with(&small("runs/a"), &sets), 3);
    let board = Board::start(directory.path(), &[]);
    let list = board.page("/");
    assert!(list.contains("went back once, from step") && list.contains("divergence"), "{list}");
    assert!(list.contains("stopped by a verdict"), "{list}");
    let report = board.page("/report?run=a");
    // One triangle for the verdict, and one for the step to which the run went back, in each chart.
    let charts = report.matches("role=\"img\"").count();
    assert_eq!(report.matches("<title>a: went back once").count(), charts, "{report}");
    assert_eq!(report.matches("<title>a: divergence since").count(), charts, "{report}");
}

#[test]
fn nothing_outside_is_read_and_other_sites_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("outside"), &["--set", "train.steps=2", "--set", "train.sample-every=2"]));
    succeed(at, &small_with(&small("runs/a"), &["--set", "train.steps=2", "--set", "train.sample-every=2"]));
    std::os::unix::fs::symlink(at.join("outside"), at.join("runs/link")).unwrap();
    let grid = at.join("runs/a/samples/step-00000001.png");
    std::os::unix::fs::symlink(at.join("outside/samples/step-00000002.png"), grid).unwrap();
    std::os::unix::fs::symlink(at.join("outside"), at.join("runs/a/best")).unwrap();
    // The checkpoints of another run know more steps than this one made.
    succeed(at, &small_with(&small("long"), &["--set", "train.steps=7"]));
    succeed(at, &small_with(&small("runs/b"), &["--set", "train.steps=2"]));
    std::fs::remove_dir_all(at.join("runs/b/checkpoints")).unwrap();
    std::os::unix::fs::symlink(at.join("long/checkpoints"), at.join("runs/b/checkpoints")).unwrap();
    let board = Board::start(at, &["runs"]);
    let list = board.page("/");
    assert!(!list.contains("run=link") && !list.contains("7 of 2 steps"), "{list}");
    assert!(board.page("/api/generators?run=a").contains(r#"["last","step 2"]"#));
    for path in [
        "/grid?run=a&step=1",
        "/grid?run=link&step=2",
        "/grid?run=../outside&step=2",
        "/grid?run=%2e%2e%2foutside&step=2",
        "/report?run=link",
        "/explore?run=.",
        "/api/generators?run=",
        "/runs/a/config.toml",
        "/assets/..%2f..%2fCargo.toml",
        "/../../etc/passwd",
    ] {
        assert_eq!(board.get(path).0, 404, "{path}");
    }
    assert_eq!(board.get("/grid?run=a&step=-1").0, 400);
    let (status, _, page) = board.get("/report");
    let page = String::from_utf8(page).unwrap();
    assert!(
        status == 400 && page.contains("Choose from 1 to 20 runs") && page.contains("href=\"/\""),
        "{page}"
    );
    let good = view("a", 1);
    let json = "Content-Type: application/json\r\n";
    let post = |headers: &str, body: &str| board.request("POST /api/draw", headers, body).0;
    assert_eq!(post(json, &good.to_string()), 200);
    assert_eq!(post("Content-Type: text/plain\r\n", &good.to_string()), 400);
    assert_eq!(post(&format!("{json}Origin: http://evil.example\r\n"), &good.to_string()), 403);
    assert_eq!(post(&format!("{json}Sec-Fetch-Site: cross-site\r\n"), &good.to_string()), 403);
    assert_eq!(post(json, &"x".repeat(1 << 20)), 413);
    assert_eq!(post(json, "{}"), 400);
    assert_eq!(post(json, &view("a", 257).to_string()), 400);
    assert_eq!(board.request("DELETE /api/draw", "", "").0, 405);
    let (status, _, _) = board.raw(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(status, 403);
    let mut other = view("a", 1);
    other["weights"] = json!("best");
    assert_eq!(board.post("/api/draw", &other).0, 404);
}

#[test]
fn floods_and_garbage_leave_it_serving() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("runs/a"), &["--set", "train.steps=2"]));
    let board = Board::start(at, &["runs"]);
    let view = encoded(&view("a", 64));
    let head = format!("Host: {}\r\nConnection: close\r\n\r\n", board.address);
    let requests =
        [format!("GET /draw.png?view={view} HTTP/1.1\r\n{head}"), format!("GET / HTTP/1.1\r\n{head}")];
    // A thousand requests are there at once. Each has an answer, if only that there are too many.
    let answers: Vec<Vec<u16>> = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..40usize)
            .map(|visitor| {
                let (board, requests) = (&board, &requests);
                scope.spawn(move || {
                    let open = || {
                        let mut stream = TcpStream::connect(&board.address).unwrap();
                        stream.write_all(requests[visitor % 2].as_bytes()).unwrap();
                        stream
                    };
                    let streams: Vec<_> = (0..25).map(|_| open()).collect();
                    let answer = |mut stream: TcpStream| {
                        let mut answer = vec![];
                        stream.read_to_end(&mut answer).unwrap();
                        String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
                    };
                    streams.into_iter().map(answer).collect()
                })
            })
            .collect();
        visitors.into_iter().map(|visitor| visitor.join().unwrap()).collect()
    });
    let answers = answers.concat();
    assert!(answers.len() == 1000 && answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
    assert!(answers.iter().filter(|status| **status == 200).count() > 50, "{answers:?}");
    // Ten thousand visitors who send no HTTP, or half of a request, and go.
    std::thread::scope(|scope| {
        for visitor in 0..8u32 {
            let board = &board;
            scope.spawn(move || {
                for number in 0..1250u32 {
                    let mut state = visitor * 7919 + number;
                    let mut next = || {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 24) as u8
                    };
                    let noise: Vec<u8> = (0..64).map(|_| next()).collect();
                    let start: &[u8] = match number % 4 {
                        0 => b"GET / HTTP/1.1\r\nHost: localhost\r\n",
                        1 => b"POST /api/draw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n{",
                        2 => b"GET /draw.png?view=%7b%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        _ => b"",
                    };
                    let mut stream = TcpStream::connect(&board.address).unwrap();
                    // The server may have closed it.
                    let _ = stream.write_all(start).and_then(|()| stream.write_all(&noise));
                    let _ = stream.shutdown(Shutdown::Both);
                }
            });
        }
    });
    assert!(board.page("/").contains("<li>"));
    assert_eq!(board.get(&format!("/draw.png?view={view}")).0, 200);
}

#[test]
fn a_change_of_a_run_is_news() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("runs/a"), &["--set", "train.steps=2"]));
    let board = Board::start(at, &["runs"]);
    let mut stream = TcpStream::connect(&board.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    write!(stream, "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", board.address).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    // The first look finds every run new.
    assert!(lines.by_ref().any(|line| line == "data: a"));
    succeed(at, &["train", "--out", "runs/a", "--resume", "--set", "train.steps=4"]);
    assert!(lines.any(|line| line == "data: a"));
}

#[test]
fn nearest_pictures_are_those_of_the_run_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let train =
        |limit: &str| succeed(at, &small_with(&small("runs/a"), &["--set", "train.steps=2", "--set", limit]));
    train("data.limit=400");
    let board = Board::start(at, &["runs"]);
    let nearest = || {
        let (status, body) = board.post("/api/nearest", &view("a", 1));
        (status, String::from_utf8(body).unwrap())
    };
    let usual = |answer: &str| serde_json::from_str::<Value>(answer).unwrap()["usual"].as_f64().unwrap();
    let (_, before) = nearest();
    // Another run takes its place.
    std::fs::remove_dir_all(at.join("runs/a")).unwrap();
    train("data.limit=100");
    let (_, after) = nearest();
    assert!(usual(&after) > usual(&before), "{before} {after}");
    // The data have changed since the run was trained.
    let config = at.join("runs/a/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("limit = 100", "limit = 99")).unwrap();
    let (status, error) = nearest();
    assert!(status != 200 && error.contains("the run was trained on 100 images"), "{error}");
}

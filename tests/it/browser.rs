//! Drives Chromium through the protocol of `WebDriver` (<https://www.w3.org/TR/webdriver2>), for the tests of
//! pages. Crates for it pull in some twenty outdated ones, and the tests need eight commands.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time for a page to become as expected. Other tests use the machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// A browser without a window.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.request("DELETE", &format!("/session/{}", self.session), None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// Starts Chromium. `None` if the machine has no chromedriver.
    pub(crate) fn start() -> Option<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let started = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        // The pipe must stay open, or the driver ends when it prints.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self { driver, port: started.unwrap(), session: String::new() };
        let options =
            json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,1000"] });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = browser.request("POST", "/session", Some(&wanted));
        browser.session += answer["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        Some(browser)
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map_or(String::new(), Value::to_string);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
        write!(stream, "{head}Connection: close\r\n\r\n{body}").unwrap();
        // The driver does not close the connection.
        let mut reader = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut json = vec![0; length];
        reader.read_exact(&mut json).unwrap();
        let answer: Value = serde_json::from_slice(&json).unwrap();
        answer["value"].clone()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        let value = self.request("POST", &format!("/session/{}/{path}", self.session), Some(body));
        assert!(value.get("error").is_none(), "{path}: {value}");
        value
    }

    pub(crate) fn open(&self, address: &str) {
        self.command("url", &json!({ "url": address }));
    }

    /// Runs a script and returns what it returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression of JavaScript is true.
    pub(crate) fn wait(&self, expression: &str) {
        let (start, script) = (Instant::now(), format!("return Boolean({expression})"));
        while self.run(&script) != json!(true) {
            assert!(
                start.elapsed() < PATIENCE,
                "{expression}: {}",
                self.run("return document.body.innerText")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Presses keys, one after the other. Some have names, such as `Tab`.
    pub(crate) fn press(&self, keys: &[&str]) {
        let code = |key: &str| match key {
            "Tab" => "\u{e004}".to_owned(),
            "Enter" => "\u{e007}".to_owned(),
            "Space" => " ".to_owned(),
            "Left" => "\u{e012}".to_owned(),
            "Right" => "\u{e014}".to_owned(),
            "Down" => "\u{e015}".to_owned(),
            other => other.to_owned(),
        };
        let both = |key: &&str| {
            let key = code(key);
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        };
        let actions: Vec<Value> = keys.iter().flat_map(both).collect();
        self.command("actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// Drags the mouse from one point of an element to another. Points are shares of its width.
    pub(crate) fn drag(&self, id: &str, [from, to]: [f64; 2]) {
        let script = format!(
            "const box = document.getElementById('{id}'); box.scrollIntoView({{ block: 'center' }}); \
             const at = box.getBoundingClientRect(); return [at.left, at.top + at.height / 2, at.width]"
        );
        let place = self.run(&script);
        let number = |index: usize| place[index].as_f64().unwrap();
        let point = |share: f64| {
            let x = (number(0) + share * number(2)).round();
            json!({ "type": "pointerMove", "duration": 50, "x": x, "y": number(1).round() })
        };
        let down = json!({ "type": "pointerDown", "button": 0 });
        let up = json!({ "type": "pointerUp", "button": 0 });
        let actions = json!([point(from), down, point(f64::midpoint(from, to)), point(to), up]);
        let pointer = json!({ "type": "pointer", "id": "mouse", "actions": actions });
        self.command("actions", &json!({ "actions": [pointer] }));
    }

    /// Sets the size of the page.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.command("window/rect", &json!({ "width": width, "height": height }));
    }

    /// What the browser printed on its console since the last call, except for information.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "browser" }));
        let log = log.as_array().cloned().unwrap_or_default();
        let is_complaint = |line: &&Value| line["level"] != "INFO" && line["level"] != "DEBUG";
        log.iter().filter(is_complaint).map(|line| line["message"].to_string()).collect()
    }

    /// Writes a picture of the page for people, if `GAN_SCREENSHOTS` names a directory.
    pub(crate) fn show(&self, name: &str) {
        use base64::Engine as _;
        let Some(directory) = std::env::var_os("GAN_SCREENSHOTS") else { return };
        let png = self.request("GET", &format!("/session/{}/screenshot", self.session), None);
        let png = base64::engine::general_purpose::STANDARD.decode(png.as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&directory).join(format!("{name}.png")), png).unwrap();
    }
}

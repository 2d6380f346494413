//! A real browser: Debian's Chromium, headless, driven through ChromeDriver (W3C WebDriver).

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rest::rest;

/// Element ids come under this key (WebDriver §12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What the browser pretends to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct BrowserOptions {
    /// Dark colours.
    pub dark: bool,
}

/// One window, as large as a phone. It closes when dropped.
pub struct Browser {
    driver: Child,
    session: String,
    /// Kept open: it goes on talking.
    _said: BufReader<ChildStdout>,
    _profile: TempDir,
}

impl Browser {
    /// Starts ChromeDriver and a window of 390 × 844 points.
    ///
    /// # Panics
    /// When they are not installed (Debian: `apt-get install chromium chromium-driver`) or do not start.
    pub async fn start(options: BrowserOptions) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts: apt-get install chromium chromium-driver");
        let mut said = BufReader::new(driver.stdout.take().expect("a pipe"));
        // It first says that it starts on port 0, then where it listens.
        let port = said
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| {
                line.split("on port ").nth(1)?.trim_end_matches('.').trim().parse::<u16>().ok()
            })
            .find(|port| *port != 0)
            .expect("chromedriver says its port");
        let profile = tempfile::tempdir().expect("a folder");
        let mut arguments = vec![
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--lang=en-GB".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if options.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {
                "binary": "/usr/bin/chromium", "args": arguments,
                "mobileEmulation": {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2.0, "touch": true}},
            },
            "timeouts": {"pageLoad": 20_000, "implicit": 3_000},
        }}});
        let base = format!("http://127.0.0.1:{port}");
        let made = rest("POST", &format!("{base}/session"), None, Some(&capabilities)).await.ok();
        let id = made["value"]["sessionId"].as_str().expect("a session").to_owned();
        Self { driver, session: format!("{base}/session/{id}"), _said: said, _profile: profile }
    }

    async fn command(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/{path}", self.session);
        rest(method, &url, None, body.as_ref()).await.ok()["value"].clone()
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.command("POST", "url", Some(json!({ "url": url }))).await;
    }

    /// The address shown.
    pub async fn url(&self) -> String {
        self.command("GET", "url", None).await.as_str().unwrap_or_default().to_owned()
    }

    /// One page back.
    pub async fn back(&self) {
        self.command("POST", "back", Some(json!({}))).await;
    }

    /// The page once more.
    pub async fn refresh(&self) {
        self.command("POST", "refresh", Some(json!({}))).await;
    }

    async fn find(&self, css: &str) -> String {
        let found =
            self.command("POST", "element", Some(json!({"using": "css selector", "value": css}))).await;
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {css}: {found}")).to_owned()
    }

    /// Types into a field.
    pub async fn type_into(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.command("POST", &format!("element/{element}/clear"), Some(json!({}))).await;
        self.command("POST", &format!("element/{element}/value"), Some(json!({ "text": text }))).await;
    }

    /// Clicks.
    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.command("POST", &format!("element/{element}/click"), Some(json!({}))).await;
    }

    /// Waits until an element's text, as people see it, has `words` in it; a click leads to its page only after a while.
    ///
    /// # Panics
    /// After ten seconds, with what it says instead.
    pub async fn shows(&self, css: &str, words: &str) {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(css));
        let mut said = String::new();
        for _ in 0..100 {
            said = self.script(&script).await.as_str().unwrap_or_default().to_owned();
            if said.contains(words) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{css} says {said:?}, not {words:?}, at {}", self.url().await);
    }

    /// What a script returns.
    pub async fn script(&self, script: &str) -> Value {
        self.command("POST", "execute/sync", Some(json!({"script": script, "args": []}))).await
    }

    /// A picture of the window.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn shoot(&self, file: &Path) {
        let picture = self.command("GET", "screenshot", None).await;
        let encoded = picture.as_str().expect("a picture");
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
        std::fs::write(file, bytes).expect("the folder is writable");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its windows go with it: they are its children.
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

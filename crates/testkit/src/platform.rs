//! A running platform: the real binary, started as anybody would, killed as nobody should.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tandem_model::clock;
use tempfile::TempDir;

use crate::rest::{Credentials, Reply, rest_with};

/// How a platform is started.
#[derive(Clone, Debug, Default)]
pub struct PlatformOptions {
    /// PostgreSQL instead of SQLite.
    pub database: Option<String>,
    /// Name of the node.
    pub node: Option<String>,
    /// Data folder to use; one of its own when absent.
    pub data: Option<PathBuf>,
    /// Further arguments of `serve`.
    pub arguments: Vec<String>,
    /// Further environment, such as `TANDEM_RTP__FIRST_PORT`.
    pub environment: Vec<(String, String)>,
    /// Without `--dev`: what the environment says of private targets holds.
    pub plain: bool,
}

/// A platform of one node.
pub struct Platform {
    binary: PathBuf,
    options: PlatformOptions,
    child: Child,
    data: PathBuf,
    /// The REST API.
    pub api: String,
    /// SIP.
    pub sip: SocketAddr,
    /// SIP over TLS, if it listens there.
    sip_tls: Option<String>,
    /// From start to ready, the last time.
    pub ready_in: Duration,
    _folder: Option<TempDir>,
}

impl Platform {
    /// Starts `binary serve --dev` on free ports.
    ///
    /// # Panics
    /// When it does not get ready; its log is in the message.
    pub fn start(binary: impl AsRef<Path>, options: PlatformOptions) -> Self {
        let (data, folder) = match &options.data {
            Some(data) => (data.clone(), None),
            None => {
                let folder = tempfile::tempdir().expect("a folder");
                (folder.path().to_owned(), Some(folder))
            }
        };
        let binary = binary.as_ref().to_owned();
        let started = launch(&binary, &data, &options, "127.0.0.1:0", "127.0.0.1:0", None);
        Self {
            binary,
            options,
            child: started.child,
            data,
            api: started.api,
            sip: started.sip,
            sip_tls: started.sip_tls,
            ready_in: started.ready_in,
            _folder: folder,
        }
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it was told by the environment.
    pub fn environment(&self, name: &str) -> Option<&str> {
        let told = self.options.environment.iter().rev().find(|(told, _)| told == name);
        told.map(|(_, value)| value.as_str())
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.join("serve.log")).unwrap_or_default()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Starts it again on the same ports and data.
    pub fn restart(&mut self) {
        let api = self.api.trim_start_matches("http://").to_owned();
        // Left to itself it would take the port after that of UDP, which may be anybody's here.
        let tls = self.sip_tls.as_deref();
        let started = launch(&self.binary, &self.data, &self.options, &api, &self.sip.to_string(), tls);
        self.child = started.child;
        self.ready_in = started.ready_in;
    }

    /// `tandem admin ARGUMENTS --json`, as an operator types it.
    ///
    /// # Panics
    /// When it fails; its words are in the message.
    #[track_caller]
    pub fn admin(&self, arguments: &[&str]) -> Value {
        self.try_admin(arguments).unwrap_or_else(|words| panic!("tandem admin {arguments:?}: {words}"))
    }

    /// The same for a command that may fail: its words when it does.
    pub fn try_admin(&self, arguments: &[&str]) -> Result<Value, String> {
        let output = Command::new(&self.binary)
            .args(["admin", "--json", "--data"])
            .arg(&self.data)
            .args(self.options.database.iter().flat_map(|url| ["--database", url]))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)));
        }
        serde_json::from_str(text.trim()).map_err(|error| format!("{error}: {text}"))
    }

    /// An operator request on the admin socket.
    ///
    /// # Panics
    /// When the socket cannot be reached.
    pub async fn operator(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        crate::rest::over_socket(&self.data.join("admin.sock"), method, path, body).await
    }

    /// A REST request below `/api/v1`.
    pub async fn rest(&self, method: &str, path: &str, who: &Credentials, body: Option<&Value>) -> Reply {
        self.rest_with(method, path, who, &[], body).await
    }

    /// The same with further headers.
    pub async fn rest_with(
        &self,
        method: &str,
        path: &str,
        who: &Credentials,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        rest_with(method, &format!("{}/api/v1{path}", self.api), Some(who), headers, body).await
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("the server's last words:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

struct Started {
    child: Child,
    api: String,
    sip: SocketAddr,
    sip_tls: Option<String>,
    ready_in: Duration,
}

fn launch(
    binary: &Path,
    data: &Path,
    options: &PlatformOptions,
    api: &str,
    sip: &str,
    tls: Option<&str>,
) -> Started {
    let began: Instant = clock::monotonic();
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(data.join("serve.log"))
        .expect("the data folder is writable");
    let mut command = Command::new(binary);
    command
        .args(["serve", "--ready-json", "--drain", "1", "--api", api, "--sip", sip, "--data"])
        .arg(data)
        .args((!options.plain).then_some("--dev"))
        .args(options.database.iter().flat_map(|url| ["--database", url]))
        .args(options.node.iter().flat_map(|name| ["--node", name]))
        .args(&options.arguments)
        .envs(tls.map(|tls| ("TANDEM_SIP__TLS_LISTEN", tls)))
        .envs(options.environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(log));
    let mut child = command.spawn().expect("the binary starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let Ok(ready) = serde_json::from_str::<Value>(&line) else {
        drop(child.kill());
        drop(child.wait());
        let log = std::fs::read_to_string(data.join("serve.log")).unwrap_or_default();
        panic!("the server did not get ready: {line:?}\n{log}");
    };
    Started {
        child,
        api: ready["api"].as_str().expect("api").to_owned(),
        sip: ready["sip"].as_str().and_then(|sip| sip.parse().ok()).expect("sip"),
        sip_tls: ready["sip_tls"].as_str().map(str::to_owned),
        ready_in: clock::monotonic().duration_since(began),
    }
}

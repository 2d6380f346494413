//! sipp, Debian's, as PBX and as carrier.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tandem_model::clock;
use tempfile::TempDir;

/// A sipp process in a folder of its own.
pub struct Sipp {
    child: Mutex<Child>,
    folder: TempDir,
    /// Its SIP port.
    pub address: SocketAddr,
}

/// How a sipp process ended.
#[derive(Clone, Debug)]
pub struct SippOutcome {
    /// All calls succeeded.
    pub success: bool,
    /// Exit code.
    pub code: Option<i32>,
    /// Its screen, error file and message trace, for a failed test's message.
    pub words: String,
    /// What `<log>` actions wrote.
    pub log: String,
}

impl Sipp {
    /// Starts sipp with a scenario (XML text) on a loopback port.
    ///
    /// # Panics
    /// When sipp is not installed: `apt-get install sip-tester`.
    pub fn start(scenario: &str, local: SocketAddr, remote: Option<SocketAddr>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("scenario.xml");
        std::fs::write(&file, scenario).expect("the folder is writable");
        let screen = std::fs::File::create(folder.path().join("screen.txt")).expect("the folder is writable");
        let mut command = Command::new("sipp");
        if let Some(remote) = remote {
            command.arg(remote.to_string());
        }
        command
            .arg("-sf")
            .arg(&file)
            .args([
                "-i",
                &local.ip().to_string(),
                "-p",
                &local.port().to_string(),
                "-nostdin",
                "-trace_err",
                "-trace_msg",
                "-trace_logs",
            ])
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::from(screen.try_clone().expect("a handle")))
            .stderr(Stdio::from(screen));
        let child = command.spawn().expect("sipp runs: apt-get install sip-tester");
        Self { child: Mutex::new(child), folder, address: local }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it runs longer than `patience`.
    pub async fn wait(self, patience: Duration) -> SippOutcome {
        self.finished(patience).await
    }

    /// The same for one who goes on reading its log meanwhile.
    ///
    /// # Panics
    /// When it runs longer than `patience`.
    pub async fn finished(&self, patience: Duration) -> SippOutcome {
        let deadline = clock::monotonic() + patience;
        loop {
            let ended =
                self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().expect("a child");
            if let Some(status) = ended {
                return SippOutcome {
                    success: status.success(),
                    code: status.code(),
                    words: self.words(),
                    log: self.logged(),
                };
            }
            assert!(clock::monotonic() < deadline, "sipp still runs after {patience:?}:\n{}", self.words());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What `<log>` actions have written so far.
    pub fn logged(&self) -> String {
        read_matching(self.folder.path(), "_logs.log")
    }

    /// What it has traced so far.
    pub fn words(&self) -> String {
        let folder = self.folder.path();
        let tail = |text: String| {
            let from = text.len().saturating_sub(12_000);
            text.get(from..).map(str::to_owned).unwrap_or(text)
        };
        format!("{}\n{}", read_matching(folder, "_errors.log"), tail(read_matching(folder, "_messages.log")))
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(child.kill());
        drop(child.wait());
    }
}

fn read_matching(folder: &Path, ending: &str) -> String {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

//! The server of a demo: this very binary, started as anybody would start it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::Ports;

/// Longest a start may take; a warm one takes well under two seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The running server.
pub(super) struct Server {
    child: Child,
    pub(super) api: String,
    pub(super) sip: SocketAddr,
}

impl Server {
    /// Starts it and waits for its ready line.
    pub(super) async fn start(
        data: &Path,
        host: IpAddr,
        ports: &Ports,
        database: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("where is this binary?")?);
        command.args(["serve", "--dev", "--ready-json", "--drain", "2"]);
        command.arg("--data").arg(data);
        command.arg("--api").arg(format!("127.0.0.1:{}", ports.api));
        command.arg("--sip").arg(SocketAddr::new(host, ports.sip).to_string());
        if let Some(database) = database {
            command.arg("--database").arg(database);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let log = data.join("serve.log");
        let file = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stderr(Stdio::from(file));
        let mut child = command.spawn().context("cannot start the server")?;
        let stdout = child.stdout.take().context("the server has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let Ok(Ok(Some(line))) = ready else {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(12).collect();
            bail!("the server did not get ready:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        };
        let ready: Value =
            serde_json::from_str(&line).with_context(|| format!("not a ready line: {line}"))?;
        Ok(Self {
            child,
            api: ready["api"].as_str().context("the ready line has no api")?.to_owned(),
            sip: ready["sip"].as_str().context("the ready line has no sip")?.parse()?,
        })
    }

    /// Waits until it ends by itself.
    pub(super) async fn died(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Asks it to end, and waits.
    pub(super) async fn stop(mut self) {
        if let Some(pid) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // Gone already is as good as told.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.is_err() {
            drop(self.child.kill().await);
        }
    }
}

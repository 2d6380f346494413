//! What is installed, reachable and advertised: the first thing to run when something does not work.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use serde::Serialize;

use crate::config::{Config, Loaded};
use crate::transports::Transports;
use crate::{acme, api_listener};

/// How a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// As it should be.
    Ok,
    /// Something will not work.
    Warning,
    /// A node would not start, or not serve.
    Broken,
}

/// One thing looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How it matters.
    pub state: FindingState,
    /// What was looked at.
    pub subject: &'static str,
    /// What was found.
    pub finding: String,
    /// What to do about it; empty when nothing.
    pub remedy: String,
}

impl Finding {
    fn ok(subject: &'static str, finding: impl Into<String>) -> Self {
        Self { state: FindingState::Ok, subject, finding: finding.into(), remedy: String::new() }
    }

    fn warning(subject: &'static str, finding: impl Into<String>, remedy: &str) -> Self {
        Self { state: FindingState::Warning, subject, finding: finding.into(), remedy: remedy.to_owned() }
    }

    fn broken(subject: &'static str, finding: impl Into<String>, remedy: &str) -> Self {
        Self { state: FindingState::Broken, subject, finding: finding.into(), remedy: remedy.to_owned() }
    }

    /// Whether a node would not work.
    pub fn is_fatal(&self) -> bool {
        self.state == FindingState::Broken
    }
}

/// Looks at everything. A running node on the same ports and data is recognised and is not a fault.
pub async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let running = tokio::net::UnixStream::connect(config.node.data.join("admin.sock")).await.is_ok();
    let mut findings = vec![if running {
        Finding::ok("node", format!("a node runs on {}", config.node.data.display()))
    } else {
        Finding::ok("node", format!("no node runs on {}", config.node.data.display()))
    }];
    findings.push(data(&config.node.data));
    findings.push(database(config, running).await);
    findings.push(speech(config).await);
    findings.push(descriptors(config));
    if running {
        return findings;
    }
    findings
        .push(listening("api.listen", &config.api.listen, |address| TcpListener::bind(address).map(drop)));
    findings.push(api_transport(config));
    findings.push(listening("sip.listen", &config.sip.listen, |address| UdpSocket::bind(address).map(drop)));
    findings.extend(transports(config));
    findings.push(receive_buffer());
    if config.sip.advertise.is_empty() && config.sip.listen.starts_with("127.") {
        findings.push(Finding::warning(
            "sip.advertise",
            "SIP listens on loopback only",
            "phones and carriers elsewhere cannot reach it; set sip.listen to 0.0.0.0:5060",
        ));
    }
    findings
}

/// How tokens travel to the API.
fn api_transport(config: &Config) -> Finding {
    use std::net::ToSocketAddrs as _;
    const SUBJECT: &str = "api.tls_certificate";
    let api = &config.api;
    match acme::check(api) {
        Ok(false) => {}
        Ok(true) => {
            return Finding::ok(
                "api.acme_domains",
                format!(
                    "a certificate for {} is obtained from {}",
                    api.acme_domains.join(", "),
                    api.acme_directory
                ),
            );
        }
        Err(problem) => {
            return Finding::broken(
                "api.acme_domains",
                problem,
                "correct the key, or take api.acme_domains out",
            );
        }
    }
    match api_listener::certificate(api) {
        Err(error) => {
            return Finding::broken(
                SUBJECT,
                error.to_string(),
                "give PEM files that belong together and that this user can read",
            );
        }
        Ok(Some(_)) => {
            return Finding::ok(
                SUBJECT,
                format!("{} and its key fit: the API speaks HTTPS", api.tls_certificate),
            );
        }
        Ok(None) => {}
    }
    let listen = api.listen.to_socket_addrs().ok().and_then(|mut found| found.next());
    match listen.and_then(|listen| api_listener::plain_http_problem(api, listen, false)) {
        Some(problem) => {
            Finding::broken(SUBJECT, problem, "or run with --dev on a machine nobody else reaches")
        }
        None if api.behind_proxy => Finding::ok(SUBJECT, "none: a proxy before the API ends TLS"),
        None => Finding::ok(SUBJECT, "none: plain HTTP, to this machine only"),
    }
}

/// SIP over TCP and TLS: the ports, the certificate and who may read its key.
fn transports(config: &Config) -> Vec<Finding> {
    use std::net::ToSocketAddrs as _;
    use std::os::unix::fs::PermissionsExt as _;
    const REMEDY: &str = "give PEM files that belong together and that this user can read";
    let sip = &config.sip;
    let Some(bind) = sip.listen.to_socket_addrs().ok().and_then(|mut found| found.next()) else {
        return Vec::new();
    };
    let found = match Transports::of(sip, bind, None) {
        Ok(found) => found,
        Err(error) => return vec![Finding::broken("SIP over TLS", error.to_string(), REMEDY)],
    };
    let free = |address: &str| TcpListener::bind(address).map(drop);
    let mut findings = Vec::new();
    match found.tcp {
        Some(tcp) => findings.push(listening("sip.tcp_listen", &tcp.to_string(), free)),
        None => findings.push(Finding::ok("sip.tcp_listen", "SIP over TCP is off")),
    }
    let Some(tls) = found.tls else {
        findings.push(Finding::ok("sip.tls_certificate", "none: SIP over TLS is off"));
        return findings;
    };
    findings.push(listening("sip.tls_listen", &tls.bind.to_string(), free));
    findings.push(Finding::ok("sip.tls_certificate", format!("{} and its key fit", sip.tls_certificate)));
    let mode = std::fs::metadata(&sip.tls_key).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        findings.push(Finding::warning(
            "sip.tls_key",
            format!("{} can be read by others (mode {:o})", sip.tls_key, mode & 0o777),
            "chmod 600 it",
        ));
    }
    findings
}

fn data(path: &Path) -> Finding {
    let probe = path.join(".doctor");
    let tried = std::fs::create_dir_all(path)
        .and_then(|()| std::fs::write(&probe, b"x"))
        .and_then(|()| std::fs::remove_file(&probe));
    match tried {
        Ok(()) => Finding::ok("node.data", format!("{} is writable", path.display())),
        Err(error) => Finding::broken(
            "node.data",
            format!("{}: {error}", path.display()),
            "choose a folder with --data, or give this user the right to write there",
        ),
    }
}

async fn database(config: &Config, running: bool) -> Finding {
    if config.database.url.is_empty() {
        let file = config.node.data.join("tandem.db");
        let size = std::fs::metadata(&file).map(|metadata| metadata.len() / 1024);
        return match (size, running) {
            (Ok(kib), _) => Finding::ok("database", format!("SQLite, {} ({kib} KiB)", file.display())),
            (Err(_), _) => Finding::ok("database", "SQLite; made on the first start"),
        };
    }
    match tokio::time::timeout(
        std::time::Duration::from_secs(5),
        tandem_store::Store::open_postgres(&config.database.url),
    )
    .await
    {
        Ok(Ok(_)) => Finding::ok("database", "PostgreSQL answers and its schema is up to date"),
        Ok(Err(error)) => Finding::broken(
            "database",
            format!("PostgreSQL: {error}"),
            "check database.url and that the server runs",
        ),
        Err(_) => Finding::broken(
            "database",
            "PostgreSQL does not answer within 5 s",
            "check database.url and that the server runs",
        ),
    }
}

async fn speech(config: &Config) -> Finding {
    let version = tokio::process::Command::new(&config.speech.espeak).arg("--version").output().await;
    match version {
        Ok(output) if output.status.success() => Finding::ok(
            "speech",
            String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned(),
        ),
        _ => Finding::warning(
            "speech",
            format!("{} does not run: <Speak> stays silent", config.speech.espeak),
            "apt-get install espeak-ng",
        ),
    }
}

/// Four sockets a bridged call, and room for everything else.
fn descriptors(config: &Config) -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = 4 * config.sip.max_sessions as u64 + 1_000;
    if limit >= wanted {
        return Finding::ok(
            "file descriptors",
            format!("{limit}, enough for {} calls", config.sip.max_sessions),
        );
    }
    Finding::warning(
        "file descriptors",
        format!("{limit}; {} calls want {wanted}", config.sip.max_sessions),
        "raise `ulimit -n` (systemd: LimitNOFILE), or lower sip.max_sessions",
    )
}

fn listening(subject: &'static str, value: &str, bind: impl Fn(&str) -> std::io::Result<()>) -> Finding {
    match bind(value) {
        Ok(()) => Finding::ok(subject, format!("{value} is free")),
        Err(error) => Finding::broken(
            subject,
            format!("{value}: {error}"),
            "something else listens there; choose another port",
        ),
    }
}

/// Collapse under load comes from queues: the kernel must grant 4 MiB for SIP.
fn receive_buffer() -> Finding {
    const WANTED: usize = 4 << 20;
    let granted = std::fs::read_to_string("/proc/sys/net/core/rmem_max")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok());
    match granted {
        Some(bytes) if bytes < WANTED => Finding::warning(
            "receive buffer",
            format!("the kernel grants {bytes} bytes at most"),
            "sysctl -w net.core.rmem_max=4194304",
        ),
        Some(bytes) => Finding::ok("receive buffer", format!("the kernel grants up to {bytes} bytes")),
        None => Finding::warning(
            "receive buffer",
            "net.core.rmem_max cannot be read",
            "check it by hand: 4194304 is wanted",
        ),
    }
}

//! A certificate from a real ACME authority (Caddy's), in a network of its own where port 443 is free: obtained at the
//! first start, kept over kill -9, and shown to a client that trusts that authority alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tandem_model::clock;
use tandem_testkit::Namespace;

const PATIENCE: Duration = Duration::from_secs(30);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "CI must not pass what it could not test")]
async fn the_api_gets_its_certificate_by_itself_and_keeps_it_over_a_kill() {
    let network = match Namespace::new("acme") {
        Ok(network) => network,
        Err(missing) => {
            assert!(std::env::var_os("CI").is_none(), "not tested: {missing}");
            eprintln!("not tested: {missing}");
            return;
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let root = at("authority/pki/authorities/local/root.crt");
    fs::write(
        at("Caddyfile"),
        format!(
            "{{\n admin off\n skip_install_trust\n storage file_system {}\n https_port 9443\n auto_https disable_redirects\n}}\n\
             localhost:9443 {{\n tls internal\n acme_server\n}}\n",
            at("authority")
        ),
    )
    .expect("its configuration");
    let caddy = ["run", "--adapter", "caddyfile", "--config", &at("Caddyfile")];
    let _authority = start(&network, "caddy", &caddy, &[], &at("caddy.log"));
    until("the authority is up", || {
        Path::new(&root).exists() && curl(&network, &root, "https://localhost:9443/").is_some()
    })
    .await;

    let environment = [
        ("TANDEM_API__ACME_DOMAINS", r#"["localhost"]"#),
        ("TANDEM_API__ACME_TERMS_AGREED", "true"),
        ("TANDEM_API__ACME_DIRECTORY", "https://localhost:9443/acme/local/directory"),
        ("TANDEM_API__ACME_CA", &root),
    ];
    let data = at("data");
    let serve = ["serve", "--data", &data, "--api", "127.0.0.1:443", "--sip", "127.0.0.1:5060"];
    let tandem = || start(&network, env!("CARGO_BIN_EXE_tandem"), &serve, &environment, &at("tandem.log"));
    let is_trusted = || curl(&network, &root, "https://localhost/openapi.json").as_deref() == Some("200");
    let first = tandem();
    let words = || fs::read_to_string(at("tandem.log")).unwrap_or_default();
    until_or("a certificate that the client trusts", is_trusted, words).await;
    let kept = |name: &str| Path::new(&data).join("acme").join(name);
    let chain = fs::read(kept("certificate.pem")).expect("the chain");
    for name in ["account.json", "key.pem", "certificate.pem"] {
        let mode = fs::metadata(kept(name)).expect("it is kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    drop(first);
    let _second = tandem();
    until_or("the same certificate at once", is_trusted, words).await;
    assert_eq!(fs::read(kept("certificate.pem")).expect("the chain"), chain, "no second order");
    assert_eq!(words().matches("has a certificate from its authority").count(), 1);
}

fn start(
    network: &Namespace,
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
    log: &str,
) -> Running {
    let log = fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(log);
    Running(network.run(|| command.spawn()).unwrap_or_else(|error| panic!("{program}: {error}")))
}

/// The status of a GET by a client that trusts `root` alone; nothing when it does not trust who answers.
fn curl(network: &Namespace, root: &str, url: &str) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5", "--cacert", root, url]);
    let done = network.run(|| command.output()).expect("curl runs");
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    until_or(what, holds, String::new).await;
}

async fn until_or(what: &str, holds: impl Fn() -> bool, words: impl Fn() -> String) {
    let began = clock::monotonic();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}\n{}", words());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

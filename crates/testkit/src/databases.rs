//! Both databases for tests: a fresh directory for SQLite, and a throwaway PostgreSQL cluster, started
//! once per test process and gone with it, `kill -9` included. A machine without PostgreSQL fails the
//! tests and says what to install: a conformance suite that skips proves nothing.
//!
//! The cluster listens on a Unix socket in its own directory only, as a user that is not root (its own
//! tools refuse root), with `fsync = off` unless a test asks otherwise.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tandem_model::clock;

/// How long the cluster may take to accept connections.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// What a machine without it needs.
const INSTALL: &str =
    "install PostgreSQL's server programs (Debian: apt-get install postgresql), or put initdb on PATH";

/// Whether commits of the cluster reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// They do: for tests about durability and for figures.
    On,
    /// They do not: quick, for everything else.
    Off,
}

/// A running throwaway cluster.
pub struct PostgresCluster {
    programs: PathBuf,
    directory: PathBuf,
    user: &'static str,
    as_root: bool,
    databases: AtomicU32,
    /// Its standard input is the leash: when this process goes, by whatever way, it reads end-of-file, stops the server
    /// and removes the directory.
    _keeper: Child,
}

impl PostgresCluster {
    /// The cluster of this test process, started on first use.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start; the message says what to do.
    pub fn shared() -> &'static Self {
        static CLUSTER: OnceLock<PostgresCluster> = OnceLock::new();
        CLUSTER.get_or_init(|| Self::start(Fsync::Off))
    }

    /// A cluster of one's own.
    ///
    /// # Panics
    /// As [`PostgresCluster::shared`].
    pub fn start(fsync: Fsync) -> Self {
        let programs = programs();
        let as_root = is_root();
        let directory = std::env::temp_dir().join(format!(
            "tandem-pg-{}-{}",
            std::process::id(),
            tandem_model::Ids::random().simple()
        ));
        std::fs::create_dir(&directory).expect("the temporary directory is writable");
        let user = "postgres";
        if as_root {
            run(Command::new("chown").arg(user).arg(&directory));
        }
        let mut initdb = unprivileged(as_root, user, &programs.join("initdb"));
        initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
        ]);
        run(initdb.arg(directory.join("data")));
        let keeper = keeper(&programs, &directory, as_root, user, fsync);
        let cluster =
            Self { programs, directory, user, as_root, databases: AtomicU32::new(0), _keeper: keeper };
        cluster.await_ready();
        cluster
    }

    /// Makes an empty database and returns its connection string.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut createdb = unprivileged(self.as_root, self.user, &self.programs.join("createdb"));
        run(createdb.arg("-h").arg(&self.directory).args(["-U", "postgres", "-T", "template0", &name]));
        self.url(&name)
    }

    /// The connection string of a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("host={} user=postgres dbname={database}", self.directory.display())
    }

    fn await_ready(&self) {
        let deadline = clock::monotonic() + START_DEADLINE;
        loop {
            let mut probe = unprivileged(self.as_root, self.user, &self.programs.join("pg_isready"));
            // It waits for an answer itself, so that this loop does not spin.
            probe.arg("-h").arg(&self.directory).args(["-U", "postgres", "-t", "1"]);
            if probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
            {
                return;
            }
            let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(clock::monotonic() < deadline, "PostgreSQL did not start:\n{log}");
            std::thread::yield_now();
        }
    }
}

/// The server under a shell that outlives this process by a moment.
fn keeper(programs: &Path, directory: &Path, as_root: bool, user: &str, fsync: Fsync) -> Child {
    const SCRIPT: &str = r#"
        "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=100 \
            -c fsync="$3" -c full_page_writes="$3" -c shared_buffers=128MB >"$2/log" 2>&1 </dev/null &
        server=$!
        read -r _
        kill -QUIT $server
        wait $server
        rm -rf "$2"
    "#;
    let fsync = match fsync {
        Fsync::On => "on",
        Fsync::Off => "off",
    };
    let mut shell = unprivileged(as_root, user, Path::new("sh"));
    shell.arg("-c").arg(SCRIPT).arg("keeper").arg(programs).arg(directory).arg(fsync);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().expect("a shell starts")
}

/// A command as the unprivileged user, when this process is root.
fn unprivileged(as_root: bool, user: &str, program: &Path) -> Command {
    let mut command = if as_root {
        let mut command = Command::new("setpriv");
        command.args([
            format!("--reuid={user}").as_str(),
            format!("--regid={user}").as_str(),
            "--clear-groups",
            "--",
        ]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {INSTALL}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn is_root() -> bool {
    let mut status = String::new();
    std::fs::File::open("/proc/self/status")
        .and_then(|mut file| file.read_to_string(&mut status))
        .is_ok_and(|_| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

/// The folder of the newest installed server programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .collect();
    folders.sort();
    if let Some((_, folder)) = folders.pop() {
        return folder;
    }
    let found = Command::new("sh").args(["-c", "command -v initdb"]).output().expect("a shell starts");
    let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    match Path::new(&path).parent() {
        Some(folder) if !path.is_empty() => folder.to_owned(),
        _ => panic!("no initdb found: {INSTALL}"),
    }
}

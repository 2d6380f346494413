//! `tandem sim caller`: reads scripts, plays them against a platform, reports what held.
//!
//! The language and its judgement are `tandem-script`'s; here are the sockets and the files. `stage` sets up one
//! script, `player` plays one of its parties, `web` is its web server, `sounds` what it says.

mod player;
mod sounds;
mod stage;
mod web;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tandem_script::read::{host_and_port, read};
use tandem_script::report::{Report, junit};
use tandem_script::script::Script;
use tandem_script::{Problem, Variables};
use tokio::task::JoinSet;

use super::block_on;
use crate::arguments::{Arguments, SimCaller};
use crate::output;

/// What `${webhook_url}` is while a script is only read.
const NO_SERVER: &str = "http://127.0.0.1:0";
/// Some script is wrong, or the command line is.
const WRONG: u8 = 2;
/// Threads for the telephones: their audio keeps time.
const THREADS: usize = 2;

/// A script's text and all that fills its variables.
struct Source {
    file: PathBuf,
    text: String,
    variables: Variables,
    platform: Option<String>,
    timeout: Option<Duration>,
}

/// Where progress goes.
#[derive(Clone)]
pub(super) struct Talk {
    /// stdout belongs to the report.
    json: bool,
    /// Several scripts speak at once.
    prefix: Option<Arc<str>>,
}

/// What became of one script.
struct Played {
    report: Report,
    /// The script itself is wrong: a file it names is not there.
    is_wrong: bool,
}

pub(super) fn run(arguments: &Arguments, options: &SimCaller) -> anyhow::Result<ExitCode> {
    if options.explain {
        output::line(&tandem_script::reference());
        return Ok(ExitCode::SUCCESS);
    }
    let sources = match sources(options) {
        Ok(sources) => sources,
        Err(error) => {
            output::failure(arguments, &error);
            return Ok(ExitCode::from(WRONG));
        }
    };
    let read: Vec<Result<Script, Problem>> = sources.iter().map(|source| source.read(NO_SERVER)).collect();
    let is_wrong = read.iter().any(Result::is_err);
    if is_wrong || options.dry_run {
        let reports: Vec<Report> =
            sources.iter().zip(&read).map(|(source, read)| source.only_read(read)).collect();
        for (source, script) in sources.iter().zip(&read) {
            match script {
                Ok(script) if options.dry_run => output_unless_json(arguments, &source.summary(script)),
                Ok(_) => {}
                Err(problem) => eprintln!("{}:{problem}", source.file.display()),
            }
        }
        return finish(arguments, options, &reports, is_wrong);
    }
    let played = block_on(THREADS, play_all(arguments, options, sources))?;
    let is_wrong = played.iter().any(|played| played.is_wrong);
    let reports: Vec<Report> = played.into_iter().map(|played| played.report).collect();
    finish(arguments, options, &reports, is_wrong)
}

/// Reads the files and the command line.
fn sources(options: &SimCaller) -> anyhow::Result<Vec<Source>> {
    // What is not text cannot stand in a script.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut variables = Variables { environment: environment.collect(), ..Variables::default() };
    for pair in &options.variables {
        let (name, value) =
            pair.split_once('=').with_context(|| format!("--set {pair}: NAME=VALUE is needed"))?;
        variables.set.insert(name.to_owned(), value.to_owned());
    }
    let platform = options.platform.as_deref().map(host_and_port).transpose();
    let platform = platform.map_err(|error| anyhow::anyhow!("--platform: {error}"))?;
    let timeout = options.timeout.as_deref().map(tandem_script::values::length).transpose();
    let timeout = timeout.map_err(|error| anyhow::anyhow!("--timeout: {error}"))?;
    let source = |file: &PathBuf| {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let (variables, platform) = (variables.clone(), platform.clone());
        Ok(Source { file: file.clone(), text, variables, platform, timeout })
    };
    options.scripts.iter().map(source).collect()
}

impl Source {
    /// The script, with its web server at this URL.
    fn read(&self, webhook_url: &str) -> Result<Script, Problem> {
        let mut variables = self.variables.clone();
        variables.set.insert("webhook_url".to_owned(), webhook_url.to_owned());
        let mut script = read(&self.text, &variables)?;
        if let Some(platform) = &self.platform {
            platform.clone_into(&mut script.platform);
        }
        script.timeout = self.timeout.unwrap_or(script.timeout);
        Ok(script)
    }

    fn name(&self, script: Option<&Script>) -> String {
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        script.and_then(|script| script.name.clone()).unwrap_or(stem)
    }

    /// Files that the script names stand beside it.
    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    fn only_read(&self, read: &Result<Script, Problem>) -> Report {
        let problem = read.as_ref().err().map(|problem| format!("{}:{problem}", self.file.display()));
        self.report(read.as_ref().ok(), problem)
    }

    /// A report of nothing yet.
    fn report(&self, script: Option<&Script>, problem: Option<String>) -> Report {
        Report {
            file: self.file.display().to_string(),
            name: self.name(script),
            ok: problem.is_none(),
            problem,
            took_ms: 0,
            parties: Vec::new(),
            webhooks: Vec::new(),
            received: Vec::new(),
        }
    }

    fn summary(&self, script: &Script) -> String {
        let count =
            |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
        let parties = count(script.parties.len(), "party", "parties");
        let steps = count(script.parties.iter().map(|party| party.steps.len()).sum(), "step", "steps");
        format!("{}: {parties}, {steps}", self.file.display())
    }
}

async fn play_all(
    arguments: &Arguments,
    options: &SimCaller,
    sources: Vec<Source>,
) -> anyhow::Result<Vec<Played>> {
    let count = sources.len();
    let at_once = usize::from(options.parallel);
    let mut waiting: VecDeque<(usize, Source)> = sources.into_iter().enumerate().collect();
    let mut playing = JoinSet::new();
    let mut played = Vec::with_capacity(count);
    loop {
        while playing.len() < at_once
            && let Some((index, source)) = waiting.pop_front()
        {
            let prefix = (at_once > 1).then(|| source.name(None).into());
            let talk = Talk { json: arguments.json, prefix };
            playing.spawn(async move { (index, stage::play(&source, &talk).await) });
        }
        match playing.join_next().await {
            Some(one) => played.push(one?),
            None => break,
        }
    }
    played.sort_by_key(|(index, _)| *index);
    Ok(played.into_iter().map(|(_, one)| one).collect())
}

impl Talk {
    pub(super) fn line(&self, line: &str) {
        let line = match &self.prefix {
            Some(prefix) => format!("[{prefix}] {line}"),
            None => line.to_owned(),
        };
        if self.json { eprintln!("{line}") } else { output::line(&line) }
    }
}

fn output_unless_json(arguments: &Arguments, line: &str) {
    if !arguments.json {
        output::line(line);
    }
}

/// Writes the reports and says how it went.
fn finish(
    arguments: &Arguments,
    options: &SimCaller,
    reports: &[Report],
    is_wrong: bool,
) -> anyhow::Result<ExitCode> {
    if let Some(path) = &options.junit {
        std::fs::write(path, junit(reports)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let ok = reports.iter().all(|report| report.ok);
    let value = serde_json::json!({"ok": ok, "scripts": reports});
    if let Some(path) = &options.report {
        std::fs::write(path, format!("{value:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if arguments.json {
        output::line(&value.to_string());
    } else if reports.len() > 1 && !options.dry_run && !is_wrong {
        let held = reports.iter().filter(|report| report.ok).count();
        output::line(&format!("{held} of {} scripts held", reports.len()));
    }
    Ok(match (is_wrong, ok) {
        (true, _) => ExitCode::from(WRONG),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

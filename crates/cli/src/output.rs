//! Data to stdout, talk to stderr; JSON when asked; logs readable without colour.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;
use tracing_subscriber::EnvFilter;

use crate::arguments::Arguments;

/// Starts the log on stderr. `RUST_LOG` wins over `-v`.
pub(crate) fn start_logging(arguments: &Arguments) {
    let level = match arguments.verbose {
        0 => "warn,tandem=info,tandem_server=info,tandem_engine=info,tandem_store=info",
        1 => "info,tandem=debug,tandem_server=debug,tandem_engine=debug,tandem_store=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if arguments.json {
        log.json().init();
    } else {
        log.with_ansi(io::stderr().is_terminal()).with_target(false).init();
    }
}

/// Prints an outcome: as it is under `--json`, else by `text`.
pub(crate) fn data(arguments: &Arguments, value: &Value, text: impl FnOnce(&Value) -> String) {
    line(&if arguments.json { value.to_string() } else { text(value) });
}

/// Prints a line. A reader that went away (`tandem … | head`) is no failure of ours.
pub(crate) fn line(text: &str) {
    drop(writeln!(io::stdout().lock(), "{}", text.trim_end()));
}

/// Prints a failure: the chain of causes on stderr, and an object on stdout under `--json`.
pub(crate) fn failure(arguments: &Arguments, error: &anyhow::Error) {
    let told = chain(error);
    if arguments.json {
        println!("{}", serde_json::json!({"ok": false, "error": told}));
    }
    eprintln!("tandem: {told}");
}

/// The causes one after the other; one that its effect has quoted already is not told again.
fn chain(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !told.ends_with(&cause) {
            if !told.is_empty() {
                told.push_str(": ");
            }
            told.push_str(&cause);
        }
    }
    told
}

/// A table of some members of a list of objects.
pub(crate) fn table(rows: &Value, columns: &[&str]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(columns.iter().copied());
    for row in rows.as_array().map(Vec::as_slice).unwrap_or_default() {
        table.add_row(columns.iter().map(|column| plain(&row[*column])));
    }
    table.to_string()
}

/// A JSON value as people read it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::chain;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || anyhow!("address in use");
        assert_eq!(chain(&cause().context("the engine: address in use")), "the engine: address in use");
        assert_eq!(chain(&cause().context("the engine")), "the engine: address in use");
        assert_eq!(chain(&cause()), "address in use");
    }
}

//! `tandem xml check`: what is wrong with a document, before a call runs it.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};
use tandem_server::xml_check;

use super::block_on;
use crate::arguments::{Arguments, Xml, XmlCheck, XmlCommand};
use crate::output;

/// The document could not be had: neither right nor wrong.
const UNREADABLE: u8 = 2;

pub(crate) fn run(arguments: &Arguments, xml: &Xml) -> ExitCode {
    let XmlCommand::Check(check) = &xml.command;
    match read(check) {
        Ok(document) => {
            let report = xml_check::report(&document);
            let text = told(&check.document, &report);
            output::data(arguments, &with_name(&report, &check.document), |_| text);
            if report["valid"] == json!(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            output::failure(arguments, &error);
            ExitCode::from(UNREADABLE)
        }
    }
}

fn read(check: &XmlCheck) -> anyhow::Result<Vec<u8>> {
    let from = check.document.as_str();
    if from == "-" {
        let mut document = Vec::new();
        std::io::stdin().lock().read_to_end(&mut document).context("standard input")?;
        return Ok(document);
    }
    let lower = from.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        let fetched = xml_check::fetch(from, &check.method);
        return block_on(1, async { fetched.await.map_err(|why| anyhow::anyhow!("{from}: {why}")) });
    }
    std::fs::read(from).with_context(|| from.to_owned())
}

fn with_name(report: &Value, name: &str) -> Value {
    let mut report = report.clone();
    report["document"] = json!(name);
    report
}

/// As compilers tell it: place, what is wrong, what to do.
fn told(name: &str, report: &Value) -> String {
    let name = if name == "-" { "stdin" } else { name };
    let mut text = String::new();
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let (errors, warnings) = (list("errors"), list("warnings"));
    // Writing to a String cannot fail.
    for finding in errors.iter().chain(&warnings) {
        let plain = |key: &str| output::plain(&finding[key]);
        let _ = writeln!(
            text,
            "{name}:{}:{}: {}: {}",
            plain("line"),
            plain("column"),
            plain("severity"),
            plain("message")
        );
        let remedy = plain("remedy");
        if !remedy.is_empty() {
            let _ = writeln!(text, "    {remedy}");
        }
    }
    let plan: Vec<String> = list("plan")
        .iter()
        .map(|step| format!("<{}> (line {})", output::plain(&step["element"]), output::plain(&step["line"])))
        .collect();
    let verdict = if errors.is_empty() { "would run" } else { "is not run as it is; without the errors" };
    let plan = if plan.is_empty() { "nothing: the call ends at once".to_owned() } else { plan.join(", ") };
    let _ = write!(text, "{name}: {} errors, {} warnings; {verdict}: {plan}", errors.len(), warnings.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_with_their_place_and_remedy() {
        let xml =
            b"<Response>\n  <Speak vioce='MAN'>hi</Speak>\n  <Gather><Dial>1</Dial></Gather>\n</Response>";
        let told = told("ivr.xml", &xml_check::report(xml));
        assert_eq!(
            told.lines().collect::<Vec<_>>(),
            [
                "ivr.xml:3:11: error: <Dial> may not stand inside <Gather>",
                "    Put it before or after; Speak, Play, Wait may stand inside.",
                "ivr.xml:2:10: warning: <Speak> has no attribute vioce: it is ignored",
                "    Did you mean `voice`?",
                "ivr.xml: 1 errors, 1 warnings; is not run as it is; without the errors: <Speak> (line 2)",
            ]
        );
    }
}

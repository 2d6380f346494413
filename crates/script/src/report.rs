//! Outcomes as people, machines and CI servers read them: lines, JSON, JUnit.

use serde::Serialize;

use crate::outcome::{Outcome, Verdict};
use crate::webhooks::Received;

/// What came of one script.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its file.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Whether everything held.
    pub ok: bool,
    /// Why it could not be played at all, or to its end.
    pub problem: Option<String>,
    /// How long it took.
    pub took_ms: u64,
    /// Its parties, in the script's order.
    pub parties: Vec<PartyReport>,
    /// What must have been requested.
    pub webhooks: Vec<Outcome>,
    /// What was requested.
    pub received: Vec<Received>,
}

/// What came of one party.
#[derive(Clone, Debug, Serialize)]
pub struct PartyReport {
    /// Its name.
    pub name: String,
    /// SIP Call-ID, if it had a call.
    pub call_id: Option<String>,
    /// What happened to its call, with milliseconds since the INVITE.
    pub timeline: Vec<(u64, String)>,
    /// Its steps, and what was judged at the end.
    pub outcomes: Vec<Outcome>,
}

/// One line about a step: time, mark, who, what, and what was heard or what differed.
pub fn line(who: &str, outcome: &Outcome) -> String {
    let time = format!("{:>8.2} s", outcome.at_ms as f64 / 1_000.0);
    let step = outcome.step.map(|step| format!("{step}. ")).unwrap_or_default();
    let title = &outcome.title;
    match &outcome.verdict {
        Verdict::Held { heard } if heard.is_empty() => format!("{time}  ✔ {who}  {step}{title}"),
        Verdict::Held { heard } => format!("{time}  ✔ {who}  {step}{title} — {heard}"),
        Verdict::Missed { expected, heard } => format!(
            "{time}  ✘ {who}  {step}{title} (line {})\n              expected: {expected}\n              heard:    {heard}",
            outcome.line
        ),
        Verdict::Skipped => format!("{time}  - {who}  {step}{title} (skipped)"),
    }
}

/// JUnit XML: a suite for each script, a case for each step.
pub fn junit(reports: &[Report]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts: Vec<Counts> = reports.iter().map(Counts::of).collect();
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    let took_ms: u64 = reports.iter().map(|report| report.took_ms).sum();
    xml.push_str(&format!(
        "<testsuites name=\"tandem sim caller\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">\n",
        sum(|counts| counts.tests),
        sum(|counts| counts.failures),
        sum(|counts| counts.errors),
        sum(|counts| counts.skipped),
        seconds(took_ms)
    ));
    for (report, counts) in reports.iter().zip(&counts) {
        suite(&mut xml, report, counts);
    }
    xml.push_str("</testsuites>\n");
    xml
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn of(report: &Report) -> Self {
        let mut counts = Self { errors: usize::from(report.problem.is_some()), ..Self::default() };
        counts.tests = counts.errors;
        for outcome in report.parties.iter().flat_map(|party| &party.outcomes).chain(&report.webhooks) {
            counts.tests += 1;
            match outcome.verdict {
                Verdict::Held { .. } => {}
                Verdict::Missed { .. } => counts.failures += 1,
                Verdict::Skipped => counts.skipped += 1,
            }
        }
        counts
    }
}

fn suite(xml: &mut String, report: &Report, counts: &Counts) {
    xml.push_str(&format!(
        "  <testsuite name=\"{}\" file=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">\n",
        escaped(&report.name),
        escaped(&report.file),
        counts.tests,
        counts.failures,
        counts.errors,
        counts.skipped,
        seconds(report.took_ms)
    ));
    if let Some(problem) = &report.problem {
        xml.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"script\"><error message=\"{}\"/></testcase>\n",
            escaped(&report.name),
            escaped(problem)
        ));
    }
    for party in &report.parties {
        for outcome in &party.outcomes {
            case(xml, &format!("{}.{}", report.name, party.name), &report.file, outcome);
        }
    }
    for outcome in &report.webhooks {
        case(xml, &format!("{}.webhooks", report.name), &report.file, outcome);
    }
    xml.push_str("  </testsuite>\n");
}

fn case(xml: &mut String, class: &str, file: &str, outcome: &Outcome) {
    let step = outcome.step.map(|step| format!("{step}. ")).unwrap_or_default();
    xml.push_str(&format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
        escaped(class),
        escaped(&format!("{step}{}", outcome.title)),
        seconds(outcome.took_ms)
    ));
    match &outcome.verdict {
        Verdict::Held { .. } => xml.push_str("/>\n"),
        Verdict::Skipped => xml.push_str("><skipped/></testcase>\n"),
        Verdict::Missed { expected, heard } => xml.push_str(&format!(
            "><failure message=\"{}\">{}</failure></testcase>\n",
            escaped(&format!("expected {expected}; heard {heard}")),
            escaped(&format!("{file}:{}\nexpected: {expected}\nheard: {heard}", outcome.line))
        )),
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// Text for XML; what XML 1.0 cannot hold becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push('\t'),
            letter if u32::from(letter) < 0x20 => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(step: usize, verdict: Verdict) -> Outcome {
        Outcome {
            step: Some(step),
            title: "press: <1&2>".to_owned(),
            line: 7,
            at_ms: 1_234,
            took_ms: 20,
            verdict,
        }
    }

    fn report() -> Report {
        Report {
            file: "ivr.yaml".to_owned(),
            name: "ivr".to_owned(),
            ok: false,
            problem: None,
            took_ms: 2_005,
            parties: vec![PartyReport {
                name: "caller".to_owned(),
                call_id: None,
                timeline: Vec::new(),
                outcomes: vec![
                    outcome(1, Verdict::held("")),
                    outcome(2, Verdict::missed("silence", "\"sound\" \u{1}")),
                    outcome(3, Verdict::Skipped),
                ],
            }],
            webhooks: Vec::new(),
            received: Vec::new(),
        }
    }

    #[test]
    fn junit_counts_and_escapes() {
        let xml = junit(&[report()]);
        assert!(xml.contains("<testsuite name=\"ivr\" file=\"ivr.yaml\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"2.005\">"), "{xml}");
        assert!(xml.contains("name=\"1. press: &lt;1&amp;2&gt;\" time=\"0.020\"/>"), "{xml}");
        assert!(
            xml.contains(
                "<failure message=\"expected silence; heard &quot;sound&quot; \u{fffd}\">ivr.yaml:7&#10;"
            ),
            "{xml}"
        );
        let broken = Report { problem: Some("1:1: `x`".to_owned()), parties: Vec::new(), ..report() };
        assert!(junit(&[broken]).contains("errors=\"1\""));
    }

    #[test]
    fn a_line_says_what_was_expected_and_heard() {
        let report = report();
        let lines: Vec<String> = report.parties[0].outcomes.iter().map(|one| line("caller", one)).collect();
        assert_eq!(lines[0], "    1.23 s  ✔ caller  1. press: <1&2>");
        assert!(
            lines[1].contains("✘ caller  2. press: <1&2> (line 7)\n")
                && lines[1].contains("expected: silence\n")
        );
        assert!(lines[2].ends_with("(skipped)"));
    }
}

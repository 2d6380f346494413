//! `${name}` in scripts: values from the command line, the script, the environment and the runner. No code runs.

use std::collections::BTreeMap;

use crate::problem::{Place, Problem};
use crate::yaml::{Node, Value};

/// Longest value after replacement.
const MAX_TEXT: usize = 256 * 1024;

/// What may stand between `${` and `}`.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// `--set name=value`, and what the runner gives (`webhook_url`).
    pub set: BTreeMap<String, String>,
    /// The environment, for `${env:NAME}`.
    pub environment: BTreeMap<String, String>,
}

impl Variables {
    /// Adds what is not set yet.
    pub(crate) fn or(&mut self, name: &str, value: String) {
        self.set.entry(name.to_owned()).or_insert(value);
    }

    /// Replaces in every text below a node; keys stay as they are.
    pub(crate) fn fill(&self, node: &mut Node) -> Result<(), Problem> {
        match &mut node.value {
            Value::Nothing => Ok(()),
            Value::Text(text) => {
                *text = self.expand(text, node.place)?;
                Ok(())
            }
            Value::List(items) => items.iter_mut().try_for_each(|item| self.fill(item)),
            Value::Map(members) => members.iter_mut().try_for_each(|(_, member)| self.fill(member)),
        }
    }

    fn expand(&self, text: &str, place: Place) -> Result<String, Problem> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                filled.push_str(before);
                filled.push_str("${");
                rest = after;
                continue;
            }
            filled.push_str(before);
            let (inside, after) =
                after.split_once('}').ok_or_else(|| Problem::new(place, "`${` has no `}`"))?;
            filled.push_str(self.value(inside, place)?);
            rest = after;
            if filled.len() > MAX_TEXT {
                return Err(Problem::new(place, format!("longer than {MAX_TEXT} bytes after replacement")));
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value<'a>(&'a self, inside: &'a str, place: Place) -> Result<&'a str, Problem> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if let Some(variable) = name.strip_prefix("env:") {
            let found = self.environment.get(variable).map(String::as_str).filter(|value| !value.is_empty());
            return found.or(default).ok_or_else(|| {
                Problem::new(place, format!("the environment has no {variable}; a default is ${{{name}:-…}}"))
            });
        }
        if let Some(value) = self.set.get(name) {
            return Ok(value);
        }
        default.ok_or_else(|| {
            let known: Vec<&str> = self.set.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Problem::new(
                place,
                format!("`{name}` has no value: give --set {name}=…, or ${{{name}:-…}}; known are {known}"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let variables = Variables {
            set: [pair("number", "+9180")].into(),
            environment: [pair("SIP", "10.0.0.1:5060"), pair("EMPTY", "")].into(),
        };
        variables.expand(text, Place { line: 1, column: 4 }).map_err(|problem| problem.to_string())
    }

    #[test]
    fn names_environment_defaults_and_the_literal() {
        assert_eq!(expand("sip:${number}@${env:SIP}").as_deref(), Ok("sip:+9180@10.0.0.1:5060"));
        assert_eq!(expand("${env:NONE:-a}${none:-}${env:EMPTY:-b}").as_deref(), Ok("ab"));
        assert_eq!(expand("$${number} costs $5").as_deref(), Ok("${number} costs $5"));
        assert_eq!(expand("${number"), Err("1:4: `${` has no `}`".to_owned()));
        assert!(expand("${env:NONE}").unwrap_err().contains("the environment has no NONE"));
        let told = expand("${numbr}").unwrap_err();
        assert!(told.contains("--set numbr=…") && told.contains("known are number"), "{told}");
    }
}

//! The knobs of `make kill-loop`, from the environment. Without any it is the short loop of `make test`.

/// Kills of the short loop.
const KILLS: u32 = 6;
/// Calls offered per second.
const RATE: u32 = 20;

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How often the platform is killed.
    pub(crate) kills: u32,
    /// Calls offered per second.
    pub(crate) rate: u32,
    /// Where all choices come from; printed, so that a run can be repeated.
    pub(crate) seed: u64,
    /// A fault to plant, which the judge must find.
    pub(crate) fault: Option<String>,
    /// PostgreSQL (a throw-away cluster) instead of SQLite.
    pub(crate) postgres: bool,
}

impl Options {
    /// Reads `KILLS`, `RATE`, `SEED`, `FAULT` and `DATABASE`.
    ///
    /// # Panics
    /// When one of them cannot be read: a loop with other numbers than asked for would prove nothing.
    pub(crate) fn from_environment() -> Self {
        let database = variable("DATABASE").unwrap_or_default();
        assert!(matches!(database.as_str(), "" | "sqlite" | "postgres"), "DATABASE is sqlite or postgres");
        Self {
            kills: number("KILLS").unwrap_or(KILLS),
            rate: number("RATE").unwrap_or(RATE).max(1),
            seed: number("SEED").unwrap_or_else(tandem_model::entropy::number),
            fault: variable("FAULT"),
            postgres: database == "postgres",
        }
    }
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = variable(name)?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no configuration file; make hands its knobs on this way"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

//! The knobs of `make rental`, from the environment. Without any it is the short run of `make test`.

/// Numbers of the short run, and kills in each of its steps.
const NUMBERS: usize = 400;
const KILLS: u32 = 2;

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How many numbers are rented.
    pub(crate) numbers: usize,
    /// Kills after each move of the clock.
    pub(crate) kills: u32,
    /// Where the moments of the kills come from; printed.
    pub(crate) seed: u64,
    /// PostgreSQL (a throw-away cluster) instead of SQLite.
    pub(crate) postgres: bool,
}

impl Options {
    /// Reads `NUMBERS`, `KILLS`, `SEED` and `DATABASE`.
    ///
    /// # Panics
    /// When one of them cannot be read.
    pub(crate) fn from_environment() -> Self {
        let database = variable("DATABASE").unwrap_or_default();
        assert!(matches!(database.as_str(), "" | "sqlite" | "postgres"), "DATABASE is sqlite or postgres");
        Self {
            numbers: number("NUMBERS").unwrap_or(NUMBERS),
            kills: number("KILLS").unwrap_or(KILLS),
            seed: number("SEED").unwrap_or_else(tandem_model::entropy::number),
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

//! The command line, as clap reads it. Help texts are the documentation.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A phone company in one binary: programmable voice and SIP trunking, self-hosted.
#[derive(Debug, Parser)]
#[command(
    name = "tandem",
    version,
    max_term_width = 110,
    after_help = "\
Examples:
  tandem demo                                  start everything, make a call each way, print what happens
  tandem serve --data /var/lib/tandem          run a node on SQLite
  tandem admin partner create --name Acme --email ops@acme.example --currency INR --balance 10000
  tandem doctor                                what is installed, reachable, configured"
)]
pub(crate) struct Arguments {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// More talk on stderr; twice for debugging.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node: REST API, SIP, RTP, webhooks.
    Serve(Serve),
    /// Start a phone company with a simulated carrier, make one call each way and check every fact.
    Demo(Demo),
    /// Provision and look after a node: partners, money, carriers, rates, numbers.
    Admin(Admin),
    /// Tell what is installed, reachable and configured, and where each value came from.
    Doctor(Doctor),
    /// Bring the database to this version's schema.
    Migrate(Migrate),
    /// Simulators to test applications with.
    Sim(Sim),
    /// Call-control XML: look at a document before a call runs it.
    Xml(Xml),
    /// Write the reference pages that are generated from the code.
    #[command(hide = true)]
    Docs(Docs),
}

/// Where configuration comes from, for every command that reads it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Configuration {
    /// Configuration file (TOML); its keys are listed, with their defaults, by `tandem doctor`.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder: database, keys, recordings, caches.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// PostgreSQL instead of SQLite: postgres://user:password@host/database
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem serve --dev                                        defaults for a laptop, a page on GET /
  tandem serve --data DIR --api 127.0.0.1:0 --sip 127.0.0.1:0 --ready-json
  tandem serve --database postgres://tandem@localhost/tandem --data DIR")]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
    /// Development: tenants' URLs may point to loopback, GET / shows calls as they happen, answered calls are recorded.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Where the REST API listens; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) api: Option<String>,
    /// Where SIP listens; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) sip: Option<String>,
    /// Name of this node, when several share a database.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Print one line `{"api": "http://…", "sip": "…"}` to stdout once ready.
    #[arg(long)]
    pub(crate) ready_json: bool,
    /// Seconds that live calls are given to end on SIGTERM before they are ended.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain: u64,
    /// Development: the wall clock runs so many seconds ahead, to live through months. Only with --dev.
    #[arg(long, hide = true, value_name = "SECONDS", requires = "dev")]
    pub(crate) clock_ahead: Option<u32>,
    /// A deliberate fault, to see the kill loop fail. Only in binaries built for that.
    #[arg(long, hide = true, value_name = "FAULT")]
    pub(crate) fault: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem demo --json            free ports, throw-away data; exits 1 if any fact is wrong
  tandem demo --stay            stay up afterwards, with everything a softphone and curl need")]
pub(crate) struct Demo {
    /// Stay up after the calls, on the default ports and with data that is kept.
    #[arg(long)]
    pub(crate) stay: bool,
    /// Data folder to keep; a throw-away one when absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address that SIP and RTP use; give the machine's own to ring phones on the network.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// PostgreSQL instead of SQLite.
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Xml {
    #[command(subcommand)]
    pub(crate) command: XmlCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum XmlCommand {
    /// Tell what is wrong with a document, with line and column, and what it would run.
    Check(XmlCheck),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem xml check answer.xml
  tandem xml check https://app.example/answer        asked by POST with the parameters of a call, unsigned
  app print-xml | tandem xml check - --json

Exit status: 0 the document runs, 1 it has errors, 2 it could not be read.")]
pub(crate) struct XmlCheck {
    /// A file, an http or https URL, or - for standard input.
    #[arg(value_name = "FILE|URL|-")]
    pub(crate) document: String,
    /// How a URL is asked.
    #[arg(long, value_name = "GET|POST", default_value = "POST", value_parser = ["GET", "POST"], ignore_case = true)]
    pub(crate) method: String,
}

#[derive(Debug, Args)]
pub(crate) struct Admin {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
    #[command(subcommand)]
    pub(crate) command: AdminCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Partners (resellers).
    #[command(subcommand)]
    Partner(PartnerCommand),
    /// Put money into an account. Repeating a reference changes nothing.
    Credit(MoneyMovement),
    /// Correct an account's balance up or down (a negative amount takes money out).
    Adjust(MoneyMovement),
    /// Give money back for something charged.
    Refund(MoneyMovement),
    /// Interconnects to the telephone network.
    #[command(subcommand)]
    Carrier(CarrierCommand),
    /// Rate decks: what a minute costs by prefix.
    #[command(subcommand)]
    Rates(RatesCommand),
    /// Numbers that customers can buy.
    #[command(subcommand)]
    Inventory(InventoryCommand),
    /// One number: what it is, and what only you do with it.
    #[command(subcommand)]
    Number(NumberCommand),
    /// Complaints about unwanted calls that the regulator passed on.
    #[command(subcommand)]
    Ndnc(NdncCommand),
    /// Check the ledger: sums, balances, holds, records against postings and rates. Exits 1 if anything is wrong.
    VerifyLedger,
    /// Events that were given up on.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// How full the running node's tables and queues are, what it has counted, and the state of its certificate.
    Status,
    /// Read the certificate of SIP over TLS again; open connections stay.
    RenewCertificate,
    /// Sources that nothing is read from, because they guessed passwords or probed.
    #[command(subcommand)]
    Bans(BansCommand),
    /// What the SIP edge has dropped since the node started, and why.
    Edge,
    /// Documents that wait for your eyes (kyc.verifier = "manual"), and erasure of what people showed.
    #[command(subcommand)]
    Kyc(KycCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PartnerCommand {
    /// Create a partner; prints its auth_id and auth_token once.
    #[command(
        after_help = "Example:\n  tandem admin partner create --name Acme --email ops@acme.example --currency INR --balance 10000"
    )]
    Create {
        #[arg(long)]
        name: String,
        #[arg(long)]
        email: String,
        /// ISO 4217, such as INR.
        #[arg(long, default_value = "INR")]
        currency: String,
        /// Opening balance.
        #[arg(long, default_value = "0")]
        balance: String,
        /// Company name; the name when absent.
        #[arg(long)]
        company: Option<String>,
        #[arg(long)]
        phone: Option<String>,
        /// ISO 3166 alpha-2.
        #[arg(long, default_value = "IN")]
        country: String,
        /// Most customers it may create.
        #[arg(long, default_value_t = 1000)]
        max_accounts: u32,
    },
    /// List partners.
    List,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem admin credit MA_7QX2L0PD 500.00 --reference invoice-2026-11-021")]
pub(crate) struct MoneyMovement {
    /// The account's auth_id.
    pub(crate) account: String,
    /// Amount in the account's currency, up to 6 decimals.
    #[arg(allow_hyphen_values = true)]
    pub(crate) amount: String,
    /// What makes this movement unique: repeating it has no further effect.
    #[arg(long)]
    pub(crate) reference: String,
    /// Shown in the account's transactions.
    #[arg(long, default_value = "")]
    pub(crate) description: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CarrierCommand {
    /// Add an interconnect.
    #[command(
        after_help = "Example:\n  tandem admin carrier add --name acme --host 203.0.113.5 --prefix 91 --priority 1"
    )]
    Add(CarrierFields),
    /// Change an interconnect; only what is given changes.
    Update(CarrierFields),
    /// List interconnects.
    List,
    /// Remove an interconnect.
    Remove { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct CarrierFields {
    #[arg(long)]
    pub(crate) name: String,
    /// Host name or address.
    #[arg(long)]
    pub(crate) host: Option<String>,
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// udp, tcp or tls; its certificate must be good for the host.
    #[arg(long)]
    pub(crate) transport: Option<String>,
    /// Prefix it carries, without +; repeat for more; none for all.
    #[arg(long = "prefix")]
    pub(crate) prefixes: Vec<String>,
    /// Lower is tried first.
    #[arg(long)]
    pub(crate) priority: Option<i64>,
    /// Share among equal priorities.
    #[arg(long)]
    pub(crate) weight: Option<i64>,
    /// New calls a second; 0 for no limit.
    #[arg(long)]
    pub(crate) cps: Option<u32>,
    /// Live calls to it; 0 for no limit. At the limit the next carrier is tried.
    #[arg(long)]
    pub(crate) concurrent: Option<u32>,
    /// How it wants numbers: e164-plus, e164, national.
    #[arg(long)]
    pub(crate) number_format: Option<String>,
    /// How it wants caller ids, if otherwise than numbers: e164-plus, e164, national.
    #[arg(long)]
    pub(crate) caller_format: Option<String>,
    /// SIP statuses after which the next carrier is tried, such as 408,480,503,504; silence always is. `default` for the usual ones.
    #[arg(long, value_name = "STATUSES")]
    pub(crate) failover: Option<String>,
    #[arg(long)]
    pub(crate) username: Option<String>,
    #[arg(long)]
    pub(crate) password: Option<String>,
    /// The only digest realm answered.
    #[arg(long)]
    pub(crate) realm: Option<String>,
    /// Address its calls come from, `IP` or `IP:PORT`; repeat for more. None given: its host, or its host and port where that is this
    /// machine.
    #[arg(long = "source")]
    pub(crate) sources: Vec<String>,
    /// Register there with the user name and password.
    #[arg(long)]
    pub(crate) register: Option<bool>,
    #[arg(long)]
    pub(crate) enabled: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RatesCommand {
    /// Import a deck from CSV: prefix,per_minute,pulse,minimum,connection_fee (prefix `in91` prices calls to +91 numbers of ours).
    ///
    /// Shows what would change: prefixes added, changed, removed, with their prices. Nothing is changed without --yes. A file with
    /// anything wrong in it is refused as a whole, with the rows and columns.
    #[command(
        after_help = "Example:\n  tandem admin rates import rates.csv --deck standard --dry-run\n  tandem admin rates import rates.csv --deck standard --currency INR --default --yes"
    )]
    Import {
        /// Name of the deck; replaced if it exists.
        #[arg(long)]
        deck: String,
        #[arg(long, default_value = "INR")]
        currency: String,
        /// Use it for accounts of that currency that have no deck of their own.
        #[arg(long)]
        default: bool,
        /// Only show what would change. So does leaving out --yes.
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Replace the deck by the file.
        #[arg(long)]
        yes: bool,
        /// Refuse if the deck is no longer as a dry run showed it: the base it printed.
        #[arg(long, value_name = "BASE")]
        base: Option<String>,
        /// CSV file; `-` for standard input.
        file: String,
    },
    /// List decks and how many prefixes each has.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InventoryCommand {
    /// Add numbers for sale.
    #[command(
        after_help = "Example:\n  tandem admin inventory add +918045671200 +918045671201 --country IN --monthly 500 --setup 100"
    )]
    Add {
        /// Numbers in E.164.
        #[arg(required = true)]
        numbers: Vec<String>,
        #[arg(long, default_value = "IN")]
        country: String,
        #[arg(long, default_value = "")]
        region: String,
        #[arg(long, default_value = "0")]
        setup: String,
        #[arg(long, default_value = "0")]
        monthly: String,
        #[arg(long, default_value = "INR")]
        currency: String,
        /// Months for which who buys one must keep it.
        #[arg(long, default_value_t = 0)]
        months: u32,
    },
    /// List numbers and who owns them.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NumberCommand {
    /// Show everything that is known of a number.
    Show { number: String },
    /// Sell a number of any series to an account, at its price: 140, 160 and 92 are sold in no other way.
    #[command(after_help = "Example:\n  tandem admin number give +911400123456 MA_7QX2L0PD")]
    Give {
        number: String,
        /// The account's or sub-account's auth_id.
        account: String,
    },
    /// Change what is given.
    #[command(after_help = "Example:\n  tandem admin number set +919212345678 --aadhaar-verified true")]
    Set {
        number: String,
        /// Takes no calls and cannot be bought.
        #[arg(long)]
        blocked: Option<bool>,
        /// Its holder has shown an Aadhaar: until then it takes no calls.
        #[arg(long)]
        aadhaar_verified: Option<bool>,
        /// Months for which its owner must keep it.
        #[arg(long)]
        months: Option<u32>,
        /// Price of a month, from the next one on.
        #[arg(long)]
        monthly: Option<String>,
        /// A tag; repeat for more. They replace those it has.
        #[arg(long = "tag")]
        tags: Vec<String>,
    },
    /// Take a number from its sub-account whatever calls it has had lately. The audit remembers it.
    Unassign { number: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NdncCommand {
    /// Say where an account is told of complaints: signed JSON, sent until it is taken.
    #[command(
        after_help = "Example:\n  tandem admin ndnc webhook MA_7QX2L0PD --url https://shop.example/ndnc --secret a-secret-you-agreed-on"
    )]
    Webhook {
        /// The account's auth_id.
        account: String,
        /// Nothing takes it away.
        #[arg(long, default_value = "")]
        url: String,
        /// 16 characters or more, agreed with the account.
        #[arg(long, default_value = "")]
        secret: String,
    },
    /// Write a complaint down and tell the number's account. Repeating a reference changes nothing.
    #[command(
        after_help = "Example:\n  tandem admin ndnc complain --urn UCC-2026-0007 --number +918045671200 --complainant +919812345678 --description \"Loan offers at night\""
    )]
    Complain {
        /// The regulator's reference.
        #[arg(long)]
        urn: String,
        /// The number that called.
        #[arg(long)]
        number: String,
        /// Who complained.
        #[arg(long)]
        complainant: String,
        /// YYYY-MM-DD; today when absent.
        #[arg(long)]
        date: Option<String>,
        #[arg(long)]
        description: Option<String>,
    },
    /// List complaints, newest first.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KycCommand {
    /// List documents that wait for a verdict, oldest first.
    List,
    /// Show one with what was given, in clear; the audit remembers that you read it.
    Show {
        /// check_id of the list.
        check: String,
    },
    /// Say that a document is what it claims to be.
    Approve {
        /// check_id of the list.
        check: String,
    },
    /// Refuse a document; its session fails, and its owner is told the reason.
    #[command(
        after_help = "Example:\n  tandem admin kyc reject 7d0c… --reason \"The name differs from the PAN card\""
    )]
    Reject {
        /// check_id of the list.
        check: String,
        #[arg(long)]
        reason: String,
    },
    /// Erase everything people showed for an account, for good. What was decided stays.
    Erase {
        /// The account's auth_id.
        account: String,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List them.
    List,
    /// Send one again, or all: same webhook-id, new timestamp.
    Replay {
        /// Event id, or `all`.
        event: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BansCommand {
    /// List the bans in force, the latest first.
    List,
    /// Listen to a source again; what led to its ban is forgotten.
    #[command(
        after_help = "Example:\n  tandem admin bans lift 203.0.113.9\n  tandem admin bans lift 2001:db8:1:2::/64"
    )]
    Lift {
        /// An IP address, or a network as it is listed.
        source: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

#[derive(Debug, Args)]
pub(crate) struct Sim {
    #[command(subcommand)]
    pub(crate) command: SimCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// A telephone network on its own SIP port: the dialled number chooses what it does.
    Carrier(SimCarrier),
    /// Telephones that follow a script and judge what they hear: tests of voice applications.
    Caller(SimCaller),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit code: 0 everything held, 1 something missed, 2 a script is wrong.

Examples:
  tandem sim caller ivr.yaml --platform 127.0.0.1:5060 --set number=+918012345678
  tandem sim caller tests/*.yaml --junit report.xml     all of them, one after the other, for a CI server
  tandem sim caller ivr.yaml --dry-run                  only read it
  tandem sim caller --explain                           every key of a script")]
pub(crate) struct SimCaller {
    /// Scripts (YAML).
    #[arg(value_name = "SCRIPT", required_unless_present = "explain")]
    pub(crate) scripts: Vec<PathBuf>,
    /// The platform's SIP address, in place of what scripts say.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) platform: Option<String>,
    /// Give a variable of the scripts a value: ${name} in them.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) variables: Vec<String>,
    /// Longest a script may take, in place of what it says: 90s, 2m.
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
    /// So many scripts at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
    /// Write a JUnit report to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the report as JSON to this file; with --json it goes to stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Only read the scripts and say what is wrong with them.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print every key of a script, and end.
    #[arg(long)]
    pub(crate) explain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimCarrier {
    /// Where it listens; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5070")]
    pub(crate) listen: String,
    /// The platform's SIP address, to call into.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5060")]
    pub(crate) platform: String,
    /// Call this number on the platform as soon as it is up.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) call: Option<String>,
    /// Caller of that call.
    #[arg(long, value_name = "NUMBER", default_value = "+919812345678")]
    pub(crate) from: String,
    /// Digits to send once that call is answered; `w` waits half a second.
    #[arg(long, value_name = "DIGITS")]
    pub(crate) digits: Option<String>,
    /// Hang up after so many seconds of that call.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) seconds: u64,
    /// End after that call.
    #[arg(long, requires = "call")]
    pub(crate) once: bool,
    /// Append a JSON line to this file at each INVITE, answer and end.
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Print one line `{"sip": "…"}` to stdout once ready.
    #[arg(long)]
    pub(crate) ready_json: bool,
    /// Print the table of numbers and end.
    #[arg(long)]
    pub(crate) table: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Docs {
    /// Folder to write to.
    #[arg(long, default_value = "docs/reference")]
    pub(crate) out: PathBuf,
    /// Only compare; exit 1 when a page is stale.
    #[arg(long)]
    pub(crate) check: bool,
}

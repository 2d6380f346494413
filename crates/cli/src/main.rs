//! The one binary, `tandem`: serve, demo, admin, doctor, migrate, and the simulators.
//!
//! Data goes to stdout, talk to stderr; every command takes `--json`.

#![expect(clippy::print_stdout, reason = "the command line is where data goes to stdout")]

mod arguments;
mod commands;
mod http;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};

/// Calls allocate on one thread and free on another, thousands a second; the C library's allocator gives pages back
/// and asks for them again all the while. SQLite's C code uses the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    output::start_logging(&arguments);
    let outcome = match arguments.command {
        Command::Serve(ref serve) => commands::serve::run(&arguments, serve),
        Command::Demo(ref demo) => commands::demo::run(&arguments, demo),
        Command::Admin(ref admin) => commands::admin::run(&arguments, admin),
        Command::Doctor(ref doctor) => commands::doctor::run(&arguments, doctor),
        Command::Migrate(ref migrate) => commands::migrate::run(&arguments, migrate),
        Command::Sim(ref sim) => match commands::sim::run(&arguments, sim) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Xml(ref xml) => return commands::xml::run(&arguments, xml),
        Command::Docs(ref docs) => commands::docs::run(docs),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&arguments, &error);
            ExitCode::FAILURE
        }
    }
}

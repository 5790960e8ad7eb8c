//! `sallyport-agent`: see the library's `program` module.

use std::process::ExitCode;

fn main() -> ExitCode {
    sallyport_agent::program::main()
}

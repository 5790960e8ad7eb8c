//! Rows from a program.

use std::io::BufReader;

use sallyport_dataplane::stream::foreign::{self, Reader};
use sallyport_dataplane::{Mapping, Output};
use sallyport_protocol::FailureKind;

use super::message::{Commit, Hello, Message, PROTOCOL, Role};
use super::process::Process;
use super::settings::Call;
use crate::{Context, Error, Source, large};

/// A step that reads with a program.
pub(super) struct ProgramSource {
    pub(super) call: Call,
}

impl Source for ProgramSource {
    fn read(self: Box<Self>, output: &mut Output, cx: &Context) -> Result<(), Error> {
        let name = &self.call.program;
        let program = self.call.registered(&cx.site)?;
        let (mut process, mut stdin, stdout) = Process::start(name, program, Role::Source, cx)?;
        let hello = Hello {
            r#type: "hello",
            protocol: PROTOCOL,
            role: Role::Source,
            settings: &self.call.settings,
            secrets: &self.call.secrets,
            commit: Commit::of(cx),
            schema: Vec::new(),
        };
        process.greet(&mut stdin, &hello, cx)?;
        let Some(stdout) = stdout else { return Err(process.died(cx)) };
        let rows = match give(name, BufReader::with_capacity(1 << 20, stdout), output, cx) {
            Ok(rows) => rows,
            Err(Stop::Own(error)) => return Err(error),
            // Whatever breaks the stream, the program's own word about it is worth more.
            Err(Stop::Stream(why)) => {
                let died = process.died(cx);
                let silent = matches!(&died, Error::Failed(failure) if failure.code == "program_died" && failure.message.contains("exit code 0"));
                return Err(if silent { malformed(name, &why) } else { died });
            }
        };
        drop(stdin);
        match process.finish(cx)? {
            Message::Result { rows: said } if said == rows => Ok(()),
            Message::Result { rows: said } => {
                let why = format!("program `{name}` says it gave {said} rows, {rows} arrived");
                Err(Error::permanent(FailureKind::Connector, "program_protocol", why)
                    .advise("the program must end its Arrow stream before `result`"))
            }
            _ => Err(malformed(name, "a source must end with `result`")),
        }
    }
}

/// Why the rows ended early.
enum Stop {
    Own(Error),
    Stream(String),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Own(error.into())
    }
}

fn give(name: &str, stdout: impl std::io::Read, output: &mut Output, cx: &Context) -> Result<u64, Stop> {
    let broken = |error: foreign::Error| match error {
        foreign::Error::Broken(why) => Stop::Stream(why),
        large @ foreign::Error::BatchTooLarge { .. } => Stop::Own(
            Error::permanent(FailureKind::Input, "batch_too_large", format!("program `{name}` gave {large}"))
                .advise("have the program give fewer rows at a time, some MB or 10,000 rows"),
        ),
    };
    let mut reader = Reader::open(stdout).map_err(broken)?;
    let mapping = Mapping::of(reader.schema()).map_err(|unmapped| {
        let why = format!("program `{name}`: {unmapped}");
        Error::permanent(FailureKind::Input, "unsupported_type", why).advise("have the program give the column as text")
    })?;
    output.start(mapping.schema())?;
    let mut rows = 0;
    while let Some(batch) = reader.next_batch().map_err(broken)? {
        for part in large::parts(&batch, &format!("program `{name}`"), rows)? {
            cx.cancel.check()?;
            let part = mapping.apply(&part).map_err(|error| Stop::Stream(error.to_string()))?;
            rows += part.num_rows() as u64;
            output.send(part)?;
        }
    }
    Ok(rows)
}

fn malformed(name: &str, why: &str) -> Error {
    Error::permanent(
        FailureKind::Connector,
        "program_protocol",
        format!("program `{name}` gave no whole Arrow stream: {why}"),
    )
    .advise("the program must write one Arrow IPC stream, and nothing else, to its standard output")
}

//! Rows to a program.

use std::io::{BufWriter, Write};
use std::process::ChildStdin;

use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;
use sallyport_dataplane::{Input, payload_bytes};
use sallyport_protocol::FailureKind;

use super::message::{Column, Commit, End, Hello, Message, PROTOCOL, Role};
use super::process::Process;
use super::settings::Call;
use crate::text::types;
use crate::{Context, Error, Sink, Written};

/// A step that writes with a program.
pub(super) struct ProgramSink {
    pub(super) call: Call,
}

impl Sink for ProgramSink {
    fn write(self: Box<Self>, input: &mut Input, cx: &Context) -> Result<Written, Error> {
        let program = self.call.registered(&cx.site)?;
        let schema = input.schema()?;
        let (mut process, mut stdin, _) = Process::start(&self.call.program, program, Role::Sink, cx)?;
        let hello = Hello {
            r#type: "hello",
            protocol: PROTOCOL,
            role: Role::Sink,
            settings: &self.call.settings,
            secrets: &self.call.secrets,
            commit: Commit::of(cx),
            schema: described(&schema),
        };
        process.greet(&mut stdin, &hello, cx)?;
        match pass(input, &schema, stdin, &mut process, cx) {
            Ok(()) => {}
            Err(Stop::Own(error)) => return Err(error),
            Err(Stop::Pipe) => return Err(process.died(cx)),
        }
        match process.finish(cx)? {
            Message::Committed { already_committed, .. } => Ok(Written { already_committed }),
            _ => {
                let why = format!("program `{}` ended without saying `committed`", self.call.program);
                Err(Error::permanent(FailureKind::Connector, "program_protocol", why).advise(
                    "a sink must say `committed` when its rows are where they belong; see docs/connectors/program.md",
                ))
            }
        }
    }
}

/// Why the rows ended early.
enum Stop {
    Own(Error),
    /// The program takes no more.
    Pipe,
}

/// Gives all rows and then their number. On any error the program is ended before its pipe is closed.
fn pass(
    input: &mut Input,
    schema: &SchemaRef,
    stdin: ChildStdin,
    process: &mut Process,
    cx: &Context,
) -> Result<(), Stop> {
    let pipe = |_| Stop::Pipe;
    let mut writer = StreamWriter::try_new(BufWriter::with_capacity(1 << 20, stdin), schema).map_err(pipe)?;
    let mut rows = 0;
    loop {
        let batch = cx.cancel.check().map_err(Error::from).and_then(|()| input.next_batch().map_err(Error::from));
        let batch = match batch {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                process.kill();
                return Err(Stop::Own(error));
            }
        };
        rows += batch.num_rows() as u64;
        if let Err(error) = writer.write(&batch) {
            process_gone_or(process, &error)?;
        }
        cx.progress.add_bytes(payload_bytes(&batch) as u64);
    }
    writer.finish().map_err(pipe)?;
    let end = serde_json::to_string(&End { r#type: "end", rows }).map_err(|_| Stop::Pipe)?;
    let mut pipe_end = writer.into_inner().map_err(pipe)?;
    writeln!(pipe_end, "{end}").and_then(|()| pipe_end.flush()).map_err(|_| Stop::Pipe)
}

/// A write fails because the program is gone, or because the batch cannot be written at all.
fn process_gone_or(process: &mut Process, error: &arrow_schema::ArrowError) -> Result<(), Stop> {
    if matches!(error, arrow_schema::ArrowError::IoError(..)) {
        return Err(Stop::Pipe);
    }
    process.kill();
    Err(Stop::Own(Error::permanent(FailureKind::Runtime, "batch", format!("writing a batch to the program: {error}"))))
}

fn described(schema: &SchemaRef) -> Vec<Column<'_>> {
    let fields = schema.fields().iter();
    fields
        .map(|field| Column {
            name: field.name(),
            r#type: field.data_type().to_string(),
            special: types::special(field),
        })
        .collect()
}

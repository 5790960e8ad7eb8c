"""The protocol of Sallyport's programs (version 1), for connectors written in Python with pyarrow.

A program reads one JSON line (`hello`) from its standard input. A sink then reads an Arrow IPC stream and one more
JSON line (`end`) from it; a source writes an Arrow IPC stream to its standard output. Everything else is said as
JSON lines on the standard error. See docs/connectors/program.md.
"""

import json
import sys

import pyarrow as pa

PROTOCOL = 1

# What one batch of a source aims at.
BATCH_ROWS = 10_000
BATCH_BYTES = 4 * 1024 * 1024


class Failure(Exception):
    """Ends the step with a message for people. `transient` failures are tried again."""

    def __init__(self, message, code="program_failed", advice=None, transient=False):
        super().__init__(message)
        self.code, self.advice, self.transient = code, advice, transient


def say(kind, **fields):
    print(json.dumps({"type": kind, **fields}), file=sys.stderr, flush=True)


def log(message, level="info"):
    say("log", level=level, message=message)


def progress(rows=0, bytes=0):
    """What was done so far, in all."""
    say("progress", rows=rows, bytes=bytes)


def rows_of(stdin):
    """The batches of a sink. Raises if the stream breaks off: what is not whole must not be committed."""
    rows = 0
    with pa.ipc.open_stream(stdin) as reader:
        for batch in reader:
            rows += batch.num_rows
            yield batch
    end = json.loads(stdin.readline() or "{}")
    if end.get("type") != "end" or end.get("rows") != rows:
        raise Failure("the input broke off", code="input_incomplete", transient=True)


def run(source=None, sink=None):
    """Runs the program: `source(hello, write)` gives batches or tables to `write`; `sink(hello, batches)` returns the rows."""
    stdin = sys.stdin.buffer
    try:
        hello = json.loads(stdin.readline())
        work = {"source": source, "sink": sink}.get(hello["role"])
        if work is None:
            raise Failure(f"this program is no {hello['role']}", code="bad_role")
        say("ready", protocol=PROTOCOL)
        if hello["role"] == "sink":
            say("committed", rows=work(hello, rows_of(stdin)))
        else:
            say("result", rows=give(hello, work))
    except Failure as failure:
        say("error", message=str(failure), code=failure.code, advice=failure.advice, transient=failure.transient)
        sys.exit(1)


def give(hello, source):
    rows, writer = 0, None

    def write(batch):
        nonlocal rows, writer
        if writer is None:
            writer = pa.ipc.new_stream(sys.stdout.buffer, batch.schema)
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        # A batch may have at most 64 MiB.
        fit = table.num_rows * BATCH_BYTES // max(table.nbytes, 1)
        writer.write_table(table, max_chunksize=max(1, min(BATCH_ROWS, fit)))
        rows += table.num_rows

    source(hello, write)
    if writer is None:
        raise Failure("the source gave no batch; give an empty one that has its schema", code="no_schema")
    writer.close()
    sys.stdout.buffer.flush()
    return rows

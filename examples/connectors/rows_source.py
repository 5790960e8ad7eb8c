#!/usr/bin/env python3
"""A source that makes rows: settings `rows` (default 1000), `batch` (default 500), `fail_after` (for trying failures)."""

import pyarrow as pa

from sallyport_connector import Failure, log, progress, run

SCHEMA = pa.schema([("number", pa.int64()), ("name", pa.string()), ("price", pa.decimal128(12, 2))])


def source(hello, write):
    settings = hello["settings"]
    rows, size = int(settings.get("rows", 1000)), int(settings.get("batch", 500))
    fail_after = settings.get("fail_after")
    log(f"making {rows} rows")
    write(pa.RecordBatch.from_pylist([], schema=SCHEMA))
    for start in range(0, rows, size):
        if fail_after is not None and start >= fail_after:
            raise Failure(f"told to fail after {fail_after} rows", code="told_to_fail", advice="leave `fail_after` out")
        numbers = range(start, min(start + size, rows))
        write(
            pa.RecordBatch.from_arrays(
                [
                    pa.array(numbers, pa.int64()),
                    pa.array([f"row {number}" for number in numbers]),
                    pa.array([number for number in numbers], pa.int64()).cast(pa.decimal128(21, 2)).cast(pa.decimal128(12, 2)),
                ],
                schema=SCHEMA,
            )
        )
        progress(rows=numbers.stop)


if __name__ == "__main__":
    run(source=source)

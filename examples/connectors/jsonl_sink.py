#!/usr/bin/env python3
"""A sink that writes JSON Lines: settings `path`. The file appears under its name when the input has ended well."""

import json
import os

from sallyport_connector import Failure, log, progress, run


def sink(hello, batches):
    path = hello["settings"].get("path")
    if not path:
        raise Failure("setting `path` is missing", code="bad_settings", advice="set `path` to the file to write")
    # An earlier attempt that still lives must not write into this one's file.
    part, rows = f"{path}.{hello['commit']['fence']}.part", 0
    try:
        with open(part, "w", encoding="utf-8") as file:
            for batch in batches:
                for row in batch.to_pylist():
                    file.write(json.dumps(row, default=str) + "\n")
                rows += batch.num_rows
                progress(rows=rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
    log(f"{rows} rows are in {path}")
    return rows


if __name__ == "__main__":
    run(sink=sink)

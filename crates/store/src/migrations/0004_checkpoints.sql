-- How far each incremental read is committed: a reading and a writing step of a task. `epoch` grows when a person sets
-- or clears the checkpoint, `fence` with every attempt; both are handed to the step that writes.
CREATE TABLE checkpoint (
  task TEXT NOT NULL REFERENCES task(id),
  source TEXT NOT NULL,
  sink TEXT NOT NULL,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  value TEXT,
  value_fence INTEGER NOT NULL DEFAULT 0,
  sequence INTEGER NOT NULL DEFAULT 0,
  run TEXT,
  who TEXT NOT NULL,
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (task, source, sink)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint_change (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  task TEXT NOT NULL,
  source TEXT NOT NULL,
  sink TEXT NOT NULL,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('committed', 'set', 'cleared', 'full_refresh')),
  value TEXT,
  rows INTEGER,
  run TEXT,
  who TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX checkpoint_change_of_task ON checkpoint_change(task, source, sink, seq);

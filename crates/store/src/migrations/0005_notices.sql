-- Where notices go, and what each channel tells.
CREATE TABLE notice_channel (
  id TEXT NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  name TEXT NOT NULL COLLATE NOCASE,
  kind TEXT NOT NULL CHECK (kind IN ('smtp', 'webhook')),
  settings TEXT NOT NULL,
  secret_names TEXT NOT NULL,
  sealed_secrets BLOB,
  rules TEXT NOT NULL,
  hourly INTEGER NOT NULL CHECK (hourly > 0),
  active INTEGER NOT NULL,
  version INTEGER NOT NULL DEFAULT 1,
  -- When it worked last, when it did not, and why.
  sent_at INTEGER,
  failed_at INTEGER,
  problem TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (environment, name)
) STRICT;

-- Whether a task's last run failed. `seq` is the place in the outbox up to which this was weighed, so that what is told
-- again is not weighed again.
CREATE TABLE task_standing (
  task TEXT NOT NULL PRIMARY KEY REFERENCES task(id),
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  failing INTEGER NOT NULL,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One notice to one channel; without `event` it sums up those that were held back.
CREATE TABLE notice (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  channel TEXT NOT NULL REFERENCES notice_channel(id) ON DELETE CASCADE,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  event TEXT CHECK (event IN ('failure', 'recovery', 'late')),
  task_name TEXT,
  run TEXT,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'held', 'summed', 'sent', 'failed')),
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER,
  problem TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX notice_once ON notice(channel, run, event) WHERE run IS NOT NULL;
CREATE INDEX notice_waiting ON notice(channel, due_at) WHERE state = 'waiting';
CREATE INDEX notice_of_channel ON notice(channel, state, ended_at);
CREATE INDEX notice_of_environment ON notice(environment, seq);

-- What starts a task by itself, as the task's current version says, and where each trigger stands.
CREATE TABLE task_trigger (
  task TEXT NOT NULL REFERENCES task(id),
  name TEXT NOT NULL,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  kind TEXT NOT NULL CHECK (kind IN ('cron', 'every', 'at', 'webhook', 'after')),
  definition TEXT NOT NULL,
  -- The task whose ended runs it follows, by name.
  follows TEXT COLLATE NOCASE,
  active INTEGER NOT NULL,
  due_at INTEGER,
  paused_until INTEGER,
  fired_at INTEGER,
  fired_run TEXT,
  problem TEXT,
  token_hash BLOB UNIQUE,
  sealed_secret BLOB,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (task, name)
) STRICT;
CREATE INDEX task_trigger_due ON task_trigger(due_at) WHERE due_at IS NOT NULL;
CREATE INDEX task_trigger_follows ON task_trigger(environment, follows) WHERE follows IS NOT NULL;
CREATE INDEX task_trigger_of_environment ON task_trigger(environment, name);

ALTER TABLE run ADD COLUMN trigger_name TEXT;
ALTER TABLE run ADD COLUMN due_at INTEGER;
ALTER TABLE run ADD COLUMN late_at INTEGER;
ALTER TABLE run ADD COLUMN late_since INTEGER;
CREATE INDEX run_late ON run(late_at) WHERE late_at IS NOT NULL AND late_since IS NULL AND finished_at IS NULL;

-- What has happened to runs, for those who act on it. Each of them has its own place in it; what all have passed goes.
CREATE TABLE run_outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  run TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  what TEXT NOT NULL CHECK (what IN ('ended', 'late')),
  UNIQUE (run, what)
) STRICT;

CREATE TABLE run_follower (
  name TEXT NOT NULL PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

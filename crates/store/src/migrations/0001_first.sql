-- Times are microseconds since 1970 in UTC; identifiers are prefixed UUIDs; JSON is text.
-- Every row that belongs to somebody names the company and the environment it belongs to.

CREATE TABLE setting (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE company (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL COLLATE NOCASE UNIQUE,
  tier TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE environment (
  id TEXT NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  name TEXT NOT NULL COLLATE NOCASE,
  created_at INTEGER NOT NULL,
  UNIQUE (company, name)
) STRICT;

CREATE TABLE person (
  id TEXT NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  name TEXT NOT NULL,
  email TEXT COLLATE NOCASE UNIQUE,
  password_hash TEXT,
  active INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE login_session (
  token_hash BLOB NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  person TEXT NOT NULL REFERENCES person(id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX login_session_expiry ON login_session(expires_at);

CREATE TABLE api_token (
  id TEXT NOT NULL PRIMARY KEY,
  token_hash BLOB NOT NULL UNIQUE,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  person TEXT NOT NULL REFERENCES person(id) ON DELETE CASCADE,
  name TEXT NOT NULL COLLATE NOCASE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
) STRICT;
CREATE INDEX api_token_of_person ON api_token(person);

CREATE TABLE one_time_token (
  token_hash BLOB NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  person TEXT NOT NULL REFERENCES person(id) ON DELETE CASCADE,
  purpose TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;

CREATE TABLE agent (
  id TEXT NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  name TEXT NOT NULL COLLATE NOCASE,
  kind TEXT NOT NULL CHECK (kind IN ('background', 'remote')),
  active INTEGER NOT NULL DEFAULT 1,
  file_level INTEGER NOT NULL,
  console_level INTEGER NOT NULL,
  platform TEXT,
  version INTEGER NOT NULL DEFAULT 1,
  epoch INTEGER NOT NULL DEFAULT 0,
  presence TEXT,
  wrapper_presence TEXT,
  address TEXT,
  programs TEXT NOT NULL DEFAULT '[]',
  last_exit TEXT,
  last_seen_at INTEGER,
  last_update_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX agent_name ON agent(environment, name) WHERE deleted_at IS NULL;
CREATE INDEX agent_of_company ON agent(company);

CREATE TABLE credential (
  hash BLOB NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  agent TEXT NOT NULL REFERENCES agent(id),
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  first_used_at INTEGER,
  revoked_at INTEGER
) STRICT;
CREATE INDEX credential_of_agent ON credential(agent);

CREATE TABLE agent_session (
  agent TEXT NOT NULL PRIMARY KEY REFERENCES agent(id),
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  counted INTEGER NOT NULL,
  replica TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  instance TEXT NOT NULL,
  installation TEXT NOT NULL,
  address TEXT,
  since INTEGER NOT NULL
) STRICT;
CREATE INDEX agent_session_of_company ON agent_session(company, counted);

CREATE TABLE wrapper_session (
  agent TEXT NOT NULL PRIMARY KEY REFERENCES agent(id),
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  replica TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  instance TEXT NOT NULL,
  installation TEXT NOT NULL,
  address TEXT,
  since INTEGER NOT NULL
) STRICT;

-- One row an agent and reason, counted, so that an agent that never gives up does not fill the disk.
CREATE TABLE refusal (
  agent TEXT NOT NULL REFERENCES agent(id),
  code TEXT NOT NULL,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  message TEXT NOT NULL,
  address TEXT,
  count INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (agent, code)
) STRICT;
CREATE INDEX refusal_of_company ON refusal(company, code);

CREATE TABLE connection (
  id TEXT NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  agent TEXT NOT NULL REFERENCES agent(id),
  name TEXT NOT NULL COLLATE NOCASE,
  kind TEXT NOT NULL,
  settings TEXT NOT NULL,
  secret_names TEXT NOT NULL,
  sealed_secrets BLOB,
  version INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (environment, name)
) STRICT;
CREATE INDEX connection_of_agent ON connection(agent);

CREATE TABLE task (
  id TEXT NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  name TEXT NOT NULL COLLATE NOCASE,
  active INTEGER NOT NULL,
  number INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX task_name ON task(environment, name) WHERE deleted_at IS NULL;

CREATE TABLE task_version (
  id TEXT NOT NULL PRIMARY KEY,
  task TEXT NOT NULL REFERENCES task(id),
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  number INTEGER NOT NULL,
  document TEXT NOT NULL,
  parsed TEXT NOT NULL,
  author TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (task, number)
) STRICT;

-- `machine` is the state machine's own text; the other columns repeat what lists and people need of it.
-- A run is open while it has no `finished_at`.
CREATE TABLE run (
  id TEXT NOT NULL PRIMARY KEY,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  task TEXT NOT NULL REFERENCES task(id),
  task_version TEXT NOT NULL REFERENCES task_version(id),
  task_name TEXT NOT NULL COLLATE NOCASE,
  start_key TEXT,
  state TEXT NOT NULL,
  failure_kind TEXT,
  reason TEXT,
  trigger TEXT NOT NULL,
  who TEXT NOT NULL,
  priority INTEGER NOT NULL,
  queued_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  machine TEXT NOT NULL,
  version INTEGER NOT NULL DEFAULT 1,
  UNIQUE (environment, start_key)
) STRICT;
CREATE INDEX run_by_time ON run(environment, queued_at);
CREATE INDEX run_by_task ON run(task, queued_at);
CREATE INDEX run_open ON run(priority DESC, queued_at) WHERE finished_at IS NULL;

CREATE TABLE step_run (
  run TEXT NOT NULL REFERENCES run(id),
  step TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  position INTEGER NOT NULL,
  pipeline INTEGER NOT NULL,
  state TEXT NOT NULL,
  agent TEXT REFERENCES agent(id),
  rows_in INTEGER NOT NULL DEFAULT 0,
  rows_out INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  rows_rejected INTEGER NOT NULL DEFAULT 0,
  failure TEXT,
  reason TEXT,
  started_at INTEGER,
  finished_at INTEGER,
  PRIMARY KEY (run, step, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  run TEXT NOT NULL,
  step TEXT,
  attempt INTEGER,
  agent TEXT,
  at INTEGER NOT NULL,
  level INTEGER NOT NULL,
  target TEXT NOT NULL,
  event TEXT,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX run_log_of_run ON run_log(run, seq);

CREATE TABLE agent_log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  agent TEXT NOT NULL,
  source TEXT NOT NULL CHECK (source IN ('agent', 'wrapper', 'server')),
  at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  level INTEGER NOT NULL,
  target TEXT NOT NULL,
  event TEXT,
  message TEXT NOT NULL,
  run TEXT
) STRICT;
CREATE INDEX agent_log_of_agent ON agent_log(agent, seq);
CREATE INDEX agent_log_of_environment ON agent_log(environment, seq);

-- The last batch stored of each process, so that a repeated one is not stored twice.
CREATE TABLE log_batch (
  agent TEXT NOT NULL,
  source TEXT NOT NULL,
  instance TEXT NOT NULL,
  seq INTEGER NOT NULL,
  stored_at INTEGER NOT NULL,
  PRIMARY KEY (agent, source, instance)
) STRICT, WITHOUT ROWID;

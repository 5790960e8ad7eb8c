ALTER TABLE run ADD COLUMN parameters TEXT NOT NULL DEFAULT '{}';
ALTER TABLE run ADD COLUMN rerun_of TEXT;

-- Not secret: everybody of the environment may read them, and runs keep copies.
CREATE TABLE variable (
  environment TEXT NOT NULL REFERENCES environment(id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  author TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (environment, name)
) STRICT, WITHOUT ROWID;

-- How many runs an agent, a connection or the environment serves at one time.
CREATE TABLE run_limit (
  environment TEXT NOT NULL REFERENCES environment(id),
  kind TEXT NOT NULL CHECK (kind IN ('agent', 'connection', 'environment')),
  target TEXT NOT NULL,
  at_once INTEGER NOT NULL CHECK (at_once > 0),
  PRIMARY KEY (environment, kind, target)
) STRICT, WITHOUT ROWID;

ALTER TABLE run ADD COLUMN parameters TEXT NOT NULL DEFAULT '{}';

-- Not secret: everybody of the environment may read them, and runs keep copies.
CREATE TABLE variable (
  environment TEXT NOT NULL REFERENCES environment(id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  author TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (environment, name)
) STRICT, WITHOUT ROWID;

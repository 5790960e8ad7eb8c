-- When agents were online: the newest ended connections of each. The one that stands is in `agent_session`.
CREATE TABLE agent_online (
  agent TEXT NOT NULL REFERENCES agent(id),
  epoch INTEGER NOT NULL,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  address TEXT,
  PRIMARY KEY (agent, epoch)
) STRICT, WITHOUT ROWID;

-- What people changed.
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  by_api_token INTEGER NOT NULL,
  action TEXT NOT NULL,
  target TEXT,
  target_name TEXT,
  status INTEGER NOT NULL,
  address TEXT
) STRICT;
CREATE INDEX audit_of_environment ON audit(environment, seq);

-- Filters of a list that a person has given a name.
CREATE TABLE saved_view (
  company TEXT NOT NULL REFERENCES company(id),
  environment TEXT NOT NULL REFERENCES environment(id),
  person TEXT NOT NULL REFERENCES person(id) ON DELETE CASCADE,
  list TEXT NOT NULL,
  name TEXT NOT NULL COLLATE NOCASE,
  query TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (person, environment, list, name)
) STRICT, WITHOUT ROWID;

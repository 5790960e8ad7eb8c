-- Releases of the agent. Their archives lie in the data folder, named by their hash; `stored_at` is set once one is whole.
CREATE TABLE agent_release (
  sha256 TEXT NOT NULL PRIMARY KEY,
  product TEXT NOT NULL,
  platform TEXT NOT NULL,
  version TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  size INTEGER NOT NULL CHECK (size > 0),
  -- The manifest as it was signed, and who signed it.
  signed TEXT NOT NULL,
  published_by TEXT NOT NULL,
  published_at INTEGER NOT NULL,
  stored_at INTEGER,
  withdrawn_at INTEGER,
  UNIQUE (product, platform, sequence)
) STRICT, WITHOUT ROWID;

-- Which versions agents are to run: one row of an environment, with an empty `agent`, and one for each agent that has its
-- own.
CREATE TABLE rollout (
  environment TEXT NOT NULL REFERENCES environment(id),
  agent TEXT NOT NULL,
  rules TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (environment, agent)
) STRICT, WITHOUT ROWID;

-- What the wrapper said last about updates.
ALTER TABLE agent ADD COLUMN update_report TEXT;

-- What was seen last of an agent's parts, each apart.
CREATE TABLE agent_sign (
  agent TEXT NOT NULL REFERENCES agent(id),
  part TEXT NOT NULL,
  good INTEGER NOT NULL,
  text TEXT NOT NULL,
  cause TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (agent, part)
) STRICT, WITHOUT ROWID;

-- Crash files of agents and their wrappers, the newest of each agent.
CREATE TABLE agent_crash (
  agent TEXT NOT NULL REFERENCES agent(id),
  file TEXT NOT NULL,
  company TEXT NOT NULL,
  environment TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  crash TEXT NOT NULL,
  PRIMARY KEY (agent, file)
) STRICT, WITHOUT ROWID;

-- Agents that serve a connection beside its first one, in order.
CREATE TABLE connection_agent (
  connection TEXT NOT NULL REFERENCES connection(id) ON DELETE CASCADE,
  place INTEGER NOT NULL,
  agent TEXT NOT NULL REFERENCES agent(id),
  PRIMARY KEY (connection, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX connection_agent_agent ON connection_agent(agent);

// Tasks to begin with. Each is right as it stands, so that it can be saved and looked at before it is made one's own.

import type { Agent, Connection } from "../api/types";

export interface Template {
  value: string;
  label: string;
  about: (agent: Agent) => string;
  document: (agent: Agent, connection: Connection | undefined) => string;
  /** The kinds of connection that it reads from; none where it needs no connection. */
  kinds?: string[];
}

/** A name as YAML takes it, whatever is in it. */
const quoted = (text: string) => JSON.stringify(text);

export const TEMPLATES: Template[] = [
  {
    value: "csv",
    label: "A CSV file into a Parquet file",
    about: (agent) => `Reads in.csv below the agent's files folder${agent.detail ? ` (${agent.detail.directory})` : ""} and writes out.parquet beside it.`,
    document: (agent) => `task: first-task
description: A CSV file into a Parquet file, on one agent
steps:
  - name: read
    connector: file
    agent: ${quoted(agent.name)}
    with: { path: in.csv }

  - name: write
    connector: file
    agent: ${quoted(agent.name)}
    input: read
    with: { path: out.parquet }
`,
  },
  {
    value: "table",
    label: "A database table into a file",
    kinds: ["postgres", "sqlite"],
    about: () => "Reads a table of a connection, keeps what you ask for, and writes a CSV file on the agent. Put your own table's name into it.",
    document: (agent, connection) => `task: first-task
description: A table into a file
steps:
  - name: read
    connection: ${quoted(connection?.name ?? "")}
    with: { table: orders }

  - name: chosen
    input: read
    transform: select * from read limit 1000

  - name: write
    connector: file
    agent: ${quoted(agent.name)}
    input: chosen
    with: { path: orders.csv }
`,
  },
];

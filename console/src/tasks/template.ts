/** A new task begins with this; the names of connections are the reader's to replace. */
export const TEMPLATE = `task: my-task
description: What it is for.
steps:
  - name: orders             # reads: no input
    connection: client-db    # names the target and, with it, the agent
    with: { table: orders }

  - name: file               # writes: has an input
    connector: file
    agent: my-agent          # no connection: the agent is named
    input: orders
    with: { path: orders.parquet }
`;

// Tries a connection from its agent, and shows which stage failed.

import { Group, Loader, Table, Text } from "@mantine/core";
import { IconCircleCheck, IconCircleX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { get, path } from "../api/client";
import type { Connection, ConnectionTest } from "../api/types";
import { duration, words } from "../parts/format";
import { Refused } from "../parts/Refused";

/** A test of the connection as it is saved. */
export function useTest(connection: Connection, wanted: boolean) {
  return useQuery({
    queryKey: ["test", connection.id, connection.version],
    queryFn: ({ signal }) => get<ConnectionTest>(path`/connections/${connection.id}/test`, { method: "POST", signal }),
    enabled: wanted,
    // Each opening is a test of its own.
    gcTime: 0,
    staleTime: Infinity,
    retry: false,
  });
}

export function TestResult({ agent, test }: { agent: string; test: ReturnType<typeof useTest> }) {
  if (test.isFetching) {
    return (
      <Group gap="sm" role="status">
        <Loader size="sm" />
        <Text>Agent {agent} tries it...</Text>
      </Group>
    );
  }
  if (test.error) return <Refused error={test.error} title="Not tested" />;
  return test.data ? <Stages test={test.data} /> : null;
}

function Stages({ test }: { test: ConnectionTest }) {
  return (
    <>
      <Text fw={600} role="status" c={test.passed ? "green" : "red"}>
        {test.passed ? "Every stage passed" : "The test failed"}
      </Text>
      <Table aria-label="Stages">
        <Table.Tbody>
          {test.stages.map((stage) => (
            <Table.Tr key={stage.stage}>
              <Table.Td w={1}>
                {stage.ok ? (
                  <IconCircleCheck size={18} color="var(--mantine-color-green-text)" aria-label="Passed" />
                ) : (
                  <IconCircleX size={18} color="var(--mantine-color-red-text)" aria-label="Failed" />
                )}
              </Table.Td>
              <Table.Td fw={500}>{words(stage.stage)}</Table.Td>
              <Table.Td style={{ overflowWrap: "anywhere" }}>{stage.detail}</Table.Td>
              <Table.Td ta="right" style={{ whiteSpace: "nowrap" }}>
                {duration(stage.millis)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </>
  );
}

// Tries a connection or a channel as it is saved: every stage with how it went, how long it took, and what to do.

import { Alert, Button, Group, Loader, Modal, Paper, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconPlugConnected } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get } from "../api/client";
import type { Test } from "../api/types";
import { duration, words } from "./format";
import { Refused } from "./Refused";
import { Said } from "./Said";
import { useNow } from "./Time";

export interface Tried {
  name: string;
  /** The address whose `/test` tries it. */
  address: string;
  version: number;
  /** Who tries, and what, as a sentence that goes on. */
  trying: string;
}

function useTest({ address, version }: Tried, wanted: boolean) {
  return useQuery({
    queryKey: ["test", address, version],
    queryFn: ({ signal }) => get<Test>(`${address}/test`, { method: "POST", signal }),
    enabled: wanted,
    // Each opening is a test of its own.
    gcTime: 0,
    staleTime: Infinity,
    retry: false,
  });
}

/** A part of a page; tries at once where that was asked for. */
export function Trial({ of, at, means }: { of: Tried; at: boolean; means: string }) {
  const [wanted, setWanted] = useState(at);
  const test = useTest(of, wanted);
  return (
    <Paper withBorder p="md" component="section" aria-label="Test">
      <Stack gap="sm">
        <Group justify="space-between">
          <Title order={2} size="h5">
            Test
          </Title>
          <Button
            size="xs"
            variant="default"
            leftSection={<IconPlugConnected size={14} />}
            loading={test.isFetching}
            onClick={() => (wanted ? void test.refetch() : setWanted(true))}
          >
            {test.data || test.error ? "Test again" : "Test"}
          </Button>
        </Group>
        {!wanted && (
          <Text size="sm" c="dimmed">
            {means}
          </Text>
        )}
        <Result of={of} test={test} />
      </Stack>
    </Paper>
  );
}

/** From a list. */
export function TestDialog({ of, onClose }: { of: Tried; onClose: () => void }) {
  const test = useTest(of, true);
  return (
    <Modal opened onClose={onClose} title={`Test of ${of.name}`} size="lg">
      <Stack>
        <Result of={of} test={test} />
        <Group justify="flex-end">
          <Button variant="default" loading={test.isFetching} onClick={() => void test.refetch()}>
            Test again
          </Button>
          <Button onClick={onClose}>Close</Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function Result({ of, test }: { of: Tried; test: ReturnType<typeof useTest> }) {
  if (test.isFetching) return <Waiting text={of.trying} />;
  if (test.error) return <Refused error={test.error} title="Not tested" />;
  return test.data ? <Stages test={test.data} /> : null;
}

/** With the seconds that pass, so that a test that takes long is no standstill. */
function Waiting({ text }: { text: string }) {
  const [since] = useState(() => Date.now());
  const seconds = Math.floor((useNow(true) - since) / 1000);
  return (
    <Group gap="sm" wrap="nowrap">
      <Loader size="sm" aria-hidden />
      <Text size="sm" role="status">
        {text}...
      </Text>
      {seconds > 1 && (
        <Text size="sm" c="dimmed" ml="auto" className="figure">
          {seconds} s
        </Text>
      )}
    </Group>
  );
}

function Stages({ test }: { test: Test }) {
  const failed = test.stages.find((stage) => !stage.ok);
  return (
    <Stack gap="sm">
      <Text fw={600} role="status" c={test.passed ? "green" : "red"}>
        {failed ? `Failed at ${words(failed.stage).toLowerCase()}` : "Every stage passed"}
      </Text>
      <ol className="stages" aria-label="Stages">
        {test.stages.map((stage) => (
          <li key={stage.stage}>
            {stage.ok ? (
              <IconCircleCheck size={20} color="var(--mantine-color-green-text)" aria-label="Passed" />
            ) : (
              <IconCircleX size={20} color="var(--mantine-color-red-text)" aria-label="Failed" />
            )}
            <div>
              <Text size="sm" fw={600}>
                {words(stage.stage)}
              </Text>
              {stage.ok ? (
                <Text size="sm" c="dimmed" className="wraps">
                  <Said text={stage.detail} />
                </Text>
              ) : (
                <Alert color="red" p="xs" mt={4} icon={<IconAlertTriangle />} className="wraps">
                  <Said text={stage.detail} />
                </Alert>
              )}
            </div>
            <Text size="sm" c="dimmed" className="figure">
              {duration(stage.millis)}
            </Text>
          </li>
        ))}
      </ol>
    </Stack>
  );
}

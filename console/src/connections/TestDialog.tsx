// Tests a connection from the list.

import { Button, Group, Modal, Stack } from "@mantine/core";
import type { Connection } from "../api/types";
import { TestResult, useTest } from "./Test";

export function TestDialog({ connection, onClose }: { connection: Connection; onClose: () => void }) {
  const test = useTest(connection, true);
  return (
    <Modal opened onClose={onClose} title={`Test of ${connection.name}`} size="lg">
      <Stack>
        <TestResult agent={connection.agent} test={test} />
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

// Somebody else has changed what is edited here: the way on.

import { Alert, Button, Group, Text } from "@mantine/core";

export function Overtaken({ what, onLoad }: { what: string; onLoad: () => void }) {
  return (
    <Alert color="orange" title={`Somebody else has changed this ${what} meanwhile`}>
      <Group justify="space-between">
        <Text size="sm">Load it as it is now, then make your change again.</Text>
        <Button size="xs" variant="default" onClick={onLoad}>
          Load the newest version
        </Button>
      </Group>
    </Alert>
  );
}

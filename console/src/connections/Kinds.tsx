// Which connector a new connection is for.

import { Group, Radio, SimpleGrid, Text } from "@mantine/core";
import type { Connector } from "../api/types";
import { ConnectorIcon } from "../parts/ConnectorIcon";

export function Kinds({ connectors, value, onChange }: { connectors: Connector[]; value: string; onChange: (kind: string) => void }) {
  return (
    <Radio.Group label="Connector" description="What the connection leads to." value={value} onChange={onChange}>
      <SimpleGrid cols={{ base: 1, xs: 2 }} mt="xs" spacing="sm">
        {connectors
          .filter((connector) => connector.connection_schema)
          .map((connector) => (
            <Radio.Card key={connector.kind} value={connector.kind} p="sm" radius="md" aria-label={connector.title} className="kind">
              <Group wrap="nowrap" align="flex-start" gap="sm">
                <Radio.Indicator mt={2} aria-hidden />
                <div>
                  <Group gap={6}>
                    <ConnectorIcon kind={connector.kind} />
                    <Text fw={500} size="sm">
                      {connector.title}
                    </Text>
                  </Group>
                  <Text size="xs" c="dimmed" mt={2}>
                    {connector.summary}
                  </Text>
                </div>
              </Group>
            </Radio.Card>
          ))}
      </SimpleGrid>
    </Radio.Group>
  );
}

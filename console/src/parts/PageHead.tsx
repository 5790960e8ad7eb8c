// The top of a page: its name and what can be done.

import { Group, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";

interface Props {
  title: string;
  badge?: ReactNode;
  children?: ReactNode;
}

export function PageHead({ title, badge, children }: Props) {
  useDocumentTitle(`${title} - Sallyport`);
  return (
    <Group justify="space-between" mb="md" gap="sm" align="flex-start">
      <Group gap="sm" miw={0} style={{ flex: "1 1 16rem" }}>
        <Title order={1} size="h2" style={{ overflowWrap: "anywhere" }}>
          {title}
        </Title>
        {badge}
      </Group>
      <Group gap="xs">{children}</Group>
    </Group>
  );
}

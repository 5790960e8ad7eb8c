// Names and values.

import { Paper, Title } from "@mantine/core";
import { Fragment, type ReactNode } from "react";

interface Props {
  title: string;
  /** Two beside each other, where there is room. */
  wide?: boolean;
  facts: [name: string, value: ReactNode][];
}

export function Facts({ title, wide = false, facts }: Props) {
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        {title}
      </Title>
      <dl className={wide ? "facts facts-wide" : "facts"}>
        {facts.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
      </dl>
    </Paper>
  );
}

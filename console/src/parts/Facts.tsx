// Names and values.

import { Paper, Title } from "@mantine/core";
import { Fragment, type ReactNode } from "react";

export type Fact = [name: string, value: ReactNode];

interface Props {
  title: string;
  /** Two beside each other, where there is room. */
  wide?: boolean;
  facts: Fact[];
}

export function Facts({ title, wide = false, facts }: Props) {
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        {title}
      </Title>
      <FactList wide={wide} facts={facts} />
    </Paper>
  );
}

export function FactList({ wide = false, facts }: Omit<Props, "title">) {
  return (
    <dl className={wide ? "facts facts-wide" : "facts"}>
      {facts.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

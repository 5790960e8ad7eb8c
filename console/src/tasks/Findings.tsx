// What the server says of a document, each problem with the way to it.

import { Alert, Anchor, Group, List, Skeleton, Text } from "@mantine/core";
import { IconCheck } from "@tabler/icons-react";
import type { FieldProblem, Validation } from "../api/types";
import { Refused } from "../parts/Refused";
import { Words } from "../parts/schema/Words";

interface Props {
  check: Validation | undefined;
  error: unknown;
  onShow: (problem: FieldProblem) => void;
}

export function Findings({ check, error, onShow }: Props) {
  if (error) return <Refused error={error} title="The document could not be checked" />;
  if (!check) return <Skeleton h={40} />;
  if (check.valid) {
    return (
      <Group gap={6} role="status">
        <IconCheck size={18} aria-hidden color="var(--mantine-color-green-text)" />
        <Text size="sm">The document is right.</Text>
      </Group>
    );
  }
  return (
    <Alert color="yellow" role="status" title={check.problems.length === 1 ? "One thing is not right" : `${check.problems.length} things are not right`}>
      <List size="sm">
        {check.problems.map((problem) => (
          <List.Item key={problem.path + problem.code + problem.message}>
            {problem.step ? <b>{problem.step}: </b> : null}
            <Words text={problem.message} />{" "}
            {problem.path && (
              <Anchor component="button" type="button" size="xs" ff="monospace" c="inherit" underline="always" onClick={() => onShow(problem)}>
                {problem.path}
              </Anchor>
            )}
          </List.Item>
        ))}
      </List>
    </Alert>
  );
}

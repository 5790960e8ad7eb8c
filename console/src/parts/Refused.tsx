// An error that stays on the page, with every field that it names.

import { Alert, List } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { ApiError } from "../api/client";
import { Said } from "./Said";
import { said } from "./toast";

export function Refused({ error, title }: { error: unknown; title: string }) {
  if (!error) return null;
  const problems = error instanceof ApiError ? error.problems : [];
  return (
    <Alert color="red" icon={<IconAlertTriangle />} title={title} role="alert">
      <Said text={said(error)} />
      {problems.length > 1 && (
        <List size="sm" mt="xs">
          {problems.map((problem) => (
            <List.Item key={problem.path + problem.message}>
              {problem.step ? `Step ${problem.step}: ` : ""}
              <Said text={problem.message} />
            </List.Item>
          ))}
        </List>
      )}
    </Alert>
  );
}

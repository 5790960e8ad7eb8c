// The first rows that a step would read, as its agent sees them now.

import { Alert, Button, Group, Loader, Modal, Stack, Table, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get } from "../api/client";
import type { Preview } from "../api/types";
import { count } from "../parts/format";
import { Refused } from "../parts/Refused";
import type { Model, Step } from "./document/model";

interface Props {
  document: string;
  model: Model;
  step: Step;
  onClose: () => void;
}

export function PreviewDialog({ document, model, step, onClose }: Props) {
  // Only what the step's settings speak of is asked for.
  const said = JSON.stringify(step.with);
  const needed = model.parameters.filter((one) => new RegExp(`parameters\\.${String(one["name"])}\\b`).test(said));
  const [values, setValues] = useState<Record<string, string>>({});
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
  const [asked, setAsked] = useState(needed.every((one) => one["default"] !== undefined) ? given : null);
  const look = useQuery({
    queryKey: ["preview", document, step.name, asked],
    queryFn: ({ signal }) => get<Preview>("/tasks/preview", { method: "POST", json: { document, step: step.name, parameters: asked }, signal }),
    enabled: asked !== null,
    // Each opening looks again.
    gcTime: 0,
    staleTime: Infinity,
    retry: false,
  });
  return (
    <Modal opened onClose={onClose} title={`First rows of ${step.name}`} size="80rem">
      <Stack>
        {needed.length > 0 && (
          <Group gap="sm">
            {needed.map((one) => {
              const name = String(one["name"]);
              const fallback = one["default"];
              return (
                <TextInput
                  key={name}
                  label={`Parameter ${name}`}
                  placeholder={fallback === undefined ? undefined : typeof fallback === "string" ? fallback : JSON.stringify(fallback)}
                  value={values[name] ?? ""}
                  onChange={(event) => {
                    const { value } = event.currentTarget;
                    setValues((now) => ({ ...now, [name]: value }));
                  }}
                />
              );
            })}
          </Group>
        )}
        {look.isFetching ? (
          <Group gap="sm" role="status">
            <Loader size="sm" />
            <Text>The agent reads...</Text>
          </Group>
        ) : (
          <>
            <Refused error={look.error} title="Not shown" />
            {look.data && <Rows seen={look.data} />}
          </>
        )}
        <Group justify="flex-end">
          <Button variant="default" loading={look.isFetching} onClick={() => (JSON.stringify(asked) === JSON.stringify(given) ? void look.refetch() : setAsked(given))}>
            {asked === null ? "Look" : "Look again"}
          </Button>
          <Button onClick={onClose} data-autofocus>
            Close
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function Rows({ seen }: { seen: Preview }) {
  const { agent, columns, rows, more, columns_left: left, failure } = seen;
  return (
    <>
      {failure && (
        <Alert color="red" role="alert" title={rows.length > 0 ? "Not all could be read" : "The rows could not be read"}>
          {failure}
        </Alert>
      )}
      {columns.length > 0 && (
        <>
          <Text size="sm" c="dimmed" role="status">
            {rows.length === 0 ? "No rows" : more ? `The first ${count(rows.length)} rows` : `All ${count(rows.length)} rows`}, seen by agent {agent}. Nothing was written.
            {left > 0 ? ` ${count(left)} further columns are left out.` : ""}
          </Text>
          <div className="preview" tabIndex={0} role="region" aria-label="Rows">
            <Table withColumnBorders stickyHeader verticalSpacing={4} aria-label="First rows">
              <Table.Thead>
                <Table.Tr>
                  {columns.map((column) => (
                    <Table.Th key={column.name}>
                      {column.name}
                      <Text size="xs" c="dimmed" fw={400} ff="monospace">
                        {column.type}
                      </Text>
                    </Table.Th>
                  ))}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((row, at) => (
                  <Table.Tr key={at}>
                    {row.map((value, column) => (
                      <Table.Td key={column} className={numeric(columns[column]?.type) ? "preview-number" : undefined} title={value && value.length > 60 ? value : undefined}>
                        {value === null ? (
                          <Text span size="xs" c="dimmed" fs="italic">
                            no value
                          </Text>
                        ) : (
                          value
                        )}
                      </Table.Td>
                    ))}
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </div>
        </>
      )}
    </>
  );
}

const numeric = (type: string | undefined) => /^(smallint|int|bigint|real|double|numeric)\b(?!.*\[\])/.test(type ?? "");

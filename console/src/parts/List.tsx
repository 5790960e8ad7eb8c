// A list with columns that the server sorts: skeleton while it loads, words and a next action where it is empty.

import { Button, Center, Checkbox, Group, Paper, Skeleton, Stack, Table, Text, UnstyledButton } from "@mantine/core";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { count } from "./format";
import { Refused } from "./Refused";

export interface Column<T> {
  title: string;
  /** The word by which the server sorts. */
  sort?: string;
  cell: (row: T) => ReactNode;
  right?: boolean;
}

interface Props<T> {
  /** What is listed, for people who hear the page. */
  label: string;
  columns: Column<T>[];
  id: (row: T) => string;
  list: {
    rows: T[];
    total: number;
    isPending: boolean;
    error: unknown;
    skipped?: number;
    next?: (() => void) | undefined;
    previous?: (() => void) | undefined;
  };
  sort: string;
  onSort: (sort: string) => void;
  empty: ReactNode;
  controls?: (row: T) => ReactNode;
  /** Rows can be picked, by their ids. */
  picked?: { ids: ReadonlySet<string>; onChange: (ids: ReadonlySet<string>) => void; name: (row: T) => string };
}

export function List<T>({ label, columns, id, list, sort, onSort, empty, controls, picked }: Props<T>) {
  if (list.error && list.rows.length === 0) return <Refused error={list.error} title={`The ${label.toLowerCase()} cannot be shown`} />;
  if (!list.isPending && list.rows.length === 0) {
    return (
      <Paper withBorder p="xl">
        <Center>
          <Stack align="center" gap="sm">
            <Text size="lg" fw={500}>
              Nothing to show
            </Text>
            {empty}
          </Stack>
        </Center>
      </Paper>
    );
  }
  return (
    <Paper withBorder>
      <Table.ScrollContainer minWidth={Math.max(480, columns.length * 125)} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "region", "aria-label": label } }}>
        <Table highlightOnHover verticalSpacing="xs" aria-label={label} aria-busy={list.isPending}>
          <Table.Thead>
            <Table.Tr>
              {picked && (
                <Table.Th w={1}>
                  <Checkbox
                    size="xs"
                    aria-label={`Pick all ${label.toLowerCase()} that are shown`}
                    checked={list.rows.length > 0 && list.rows.every((row) => picked.ids.has(id(row)))}
                    indeterminate={picked.ids.size > 0 && !list.rows.every((row) => picked.ids.has(id(row)))}
                    onChange={(event) => picked.onChange(new Set(event.currentTarget.checked ? list.rows.map(id) : []))}
                  />
                </Table.Th>
              )}
              {columns.map((column) => (
                <Head key={column.title} column={column} sort={sort} onSort={onSort} />
              ))}
              {controls && <Table.Th w={1} aria-label="Actions" />}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {list.isPending
              ? Array.from({ length: 6 }, (_, row) => (
                  <Table.Tr key={row}>
                    {picked && <Table.Td />}
                    {columns.map((column) => (
                      <Table.Td key={column.title}>
                        <Skeleton height={16} my={6} />
                      </Table.Td>
                    ))}
                    {controls && <Table.Td />}
                  </Table.Tr>
                ))
              : list.rows.map((row) => (
                  <Table.Tr key={id(row)} data-picked={picked?.ids.has(id(row)) || undefined}>
                    {picked && (
                      <Table.Td>
                        <Checkbox
                          size="xs"
                          aria-label={`Pick ${picked.name(row)}`}
                          checked={picked.ids.has(id(row))}
                          onChange={() => picked.onChange(toggled(picked.ids, id(row)))}
                        />
                      </Table.Td>
                    )}
                    {columns.map((column) => (
                      <Table.Td key={column.title} className={column.right ? "figure" : undefined}>
                        {column.cell(row)}
                      </Table.Td>
                    ))}
                    {controls && (
                      <Table.Td>
                        <Group gap={4} wrap="nowrap" justify="flex-end">
                          {controls(row)}
                        </Group>
                      </Table.Td>
                    )}
                  </Table.Tr>
                ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {list.rows.length > 0 && (
        <Group justify="space-between" px="sm" py="xs">
          <Text size="sm" c="dimmed">
            {extent(list.skipped ?? 0, list.rows.length, list.total)}
          </Text>
          {(list.previous ?? list.next) && (
            <Group gap="xs">
              <Button variant="default" size="xs" disabled={!list.previous} onClick={list.previous}>
                Previous
              </Button>
              <Button variant="default" size="xs" disabled={!list.next} onClick={list.next}>
                Next
              </Button>
            </Group>
          )}
        </Group>
      )}
    </Paper>
  );
}

/** The server counts no further. */
const TOTAL_MAX = 10_000;

function extent(skipped: number, shown: number, total: number): string {
  const all = total >= TOTAL_MAX ? `${count(TOTAL_MAX)} or more` : count(total);
  if (shown >= total) return `${all} in all`;
  return `${count(skipped + 1)} to ${count(skipped + shown)} of ${all}`;
}

function toggled(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(ids);
  if (!next.delete(id)) next.add(id);
  return next;
}

function Head<T>({ column, sort, onSort }: { column: Column<T>; sort: string; onSort: (sort: string) => void }) {
  const { sort: word, title } = column;
  if (!word) return <Table.Th ta={column.right ? "right" : undefined}>{title}</Table.Th>;
  const up = sort === word;
  const down = sort === `-${word}`;
  return (
    <Table.Th ta={column.right ? "right" : undefined} aria-sort={up ? "ascending" : down ? "descending" : "none"}>
      <UnstyledButton fz="sm" fw={700} onClick={() => onSort(up ? `-${word}` : word)}>
        <Group gap={4} wrap="nowrap">
          <span style={{ whiteSpace: "nowrap" }}>{title}</span>
          {up && <IconArrowUp size={14} aria-hidden />}
          {down && <IconArrowDown size={14} aria-hidden />}
        </Group>
      </UnstyledButton>
    </Table.Th>
  );
}

// A list with columns that the server sorts: skeleton while it loads, words and a next action where it is empty.

import { Button, Center, Group, Paper, Skeleton, Stack, Table, Text, UnstyledButton } from "@mantine/core";
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
    hasNextPage: boolean;
    isFetchingNextPage: boolean;
    fetchNextPage: () => unknown;
  };
  sort: string;
  onSort: (sort: string) => void;
  empty: ReactNode;
  controls?: (row: T) => ReactNode;
}

export function List<T>({ label, columns, id, list, sort, onSort, empty, controls }: Props<T>) {
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
      <Table.ScrollContainer minWidth={Math.max(480, columns.length * 125)}>
        <Table highlightOnHover verticalSpacing="xs" aria-label={label} aria-busy={list.isPending}>
          <Table.Thead>
            <Table.Tr>
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
                    {columns.map((column) => (
                      <Table.Td key={column.title}>
                        <Skeleton height={16} my={6} />
                      </Table.Td>
                    ))}
                    {controls && <Table.Td />}
                  </Table.Tr>
                ))
              : list.rows.map((row) => (
                  <Table.Tr key={id(row)}>
                    {columns.map((column) => (
                      <Table.Td key={column.title} ta={column.right ? "right" : undefined}>
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
            {list.rows.length < list.total ? `${count(list.rows.length)} of ${count(list.total)}` : `${count(list.total)} in all`}
          </Text>
          {list.hasNextPage && (
            <Button variant="default" size="xs" loading={list.isFetchingNextPage} onClick={() => list.fetchNextPage()}>
              Show more
            </Button>
          )}
        </Group>
      )}
    </Paper>
  );
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

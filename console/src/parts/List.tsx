// A list with columns that the server sorts: skeleton while it loads, words and a next action where it is empty. Where
// there is no room for columns each row is a card; the roles stand there because the layout then is no table's.

import { Button, Center, Checkbox, Group, Paper, Select, Skeleton, Stack, Table, Text, UnstyledButton } from "@mantine/core";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { count } from "./format";
import { Refused } from "./Refused";
import "./cards.css";

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
    <Paper withBorder className="cards">
      <Narrow columns={columns} sort={sort} onSort={onSort} all={picked && <PickAll label={label} rows={list.rows.map(id)} picked={picked} words="All" />} />
      <Table.ScrollContainer minWidth={Math.max(480, columns.length * 125)} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "region", "aria-label": label } }}>
        <Table role="table" highlightOnHover verticalSpacing="xs" aria-label={label} aria-busy={list.isPending}>
          <Table.Thead role="rowgroup">
            <Table.Tr role="row">
              {picked && (
                <Table.Th role="columnheader" w={1}>
                  <PickAll label={label} rows={list.rows.map(id)} picked={picked} />
                </Table.Th>
              )}
              {columns.map((column) => (
                <Head key={column.title} column={column} sort={sort} onSort={onSort} />
              ))}
              {controls && <Table.Th role="columnheader" w={1} aria-label="Actions" />}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody role="rowgroup">
            {list.isPending
              ? Array.from({ length: 6 }, (_, row) => (
                  <Table.Tr role="row" key={row}>
                    {picked && <Table.Td role="cell" className="card-more" />}
                    {columns.map((column) => (
                      <Table.Td role="cell" key={column.title} className="card-more">
                        <Skeleton height={16} my={6} />
                      </Table.Td>
                    ))}
                    {controls && <Table.Td role="cell" className="card-more" />}
                  </Table.Tr>
                ))
              : list.rows.map((row) => (
                  <Table.Tr role="row" key={id(row)} data-picked={picked?.ids.has(id(row)) || undefined}>
                    {picked && (
                      <Table.Td role="cell" className="card-pick">
                        <Checkbox
                          size="xs"
                          aria-label={`Pick ${picked.name(row)}`}
                          checked={picked.ids.has(id(row))}
                          onChange={() => picked.onChange(toggled(picked.ids, id(row)))}
                        />
                      </Table.Td>
                    )}
                    {columns.map((column, at) => (
                      <Table.Td role="cell" key={column.title} className={at === 0 ? "card-name" : column.right ? "card-fact figure" : "card-fact"} data-title={column.title}>
                        <div>{column.cell(row)}</div>
                      </Table.Td>
                    ))}
                    {controls && (
                      <Table.Td role="cell" className="card-controls">
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

interface PickAllProps<T> {
  label: string;
  rows: string[];
  picked: NonNullable<Props<T>["picked"]>;
  /** Beside the box. */
  words?: string;
}

function PickAll<T>({ label, rows, picked, words }: PickAllProps<T>) {
  const all = rows.length > 0 && rows.every((row) => picked.ids.has(row));
  return (
    <Checkbox
      size="xs"
      label={words}
      aria-label={`Pick all ${label.toLowerCase()} that are shown`}
      checked={all}
      indeterminate={picked.ids.size > 0 && !all}
      onChange={(event) => picked.onChange(new Set(event.currentTarget.checked ? rows : []))}
    />
  );
}

/** What the columns' heads are for, where there are no columns. */
function Narrow<T>({ columns, sort, onSort, all }: Pick<Props<T>, "columns" | "sort" | "onSort"> & { all: ReactNode }) {
  const sorts = columns.flatMap(({ sort: word, title }) => (word ? [{ value: word, label: `By ${title.toLowerCase()}` }, { value: `-${word}`, label: `By ${title.toLowerCase()}, last first` }] : []));
  if (sorts.length === 0 && !all) return null;
  return (
    <Group hiddenFrom="sm" justify="space-between" px="sm" py="xs" wrap="nowrap" className="cards-head">
      {all}
      {sorts.length > 0 && <Select size="xs" aria-label="Sort" allowDeselect={false} data={sorts} value={sort} onChange={(next) => next && onSort(next)} ml="auto" />}
    </Group>
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
  if (!word) return <Table.Th role="columnheader" ta={column.right ? "right" : undefined}>{title}</Table.Th>;
  const up = sort === word;
  const down = sort === `-${word}`;
  return (
    <Table.Th role="columnheader" ta={column.right ? "right" : undefined} aria-sort={up ? "ascending" : down ? "descending" : "none"}>
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

// Every attempt of every step, with its figures.

import { Anchor, Paper, Table, Text, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { StepRun } from "../api/types";
import { bytes, count, duration, words } from "../parts/format";
import { Said } from "../parts/Said";
import "../parts/cards.css";
import { StateBadge } from "../parts/StateBadge";
import { useNow } from "../parts/Time";

const COLUMNS = ["Attempt", "Agent", "Rows in", "Rows out", "Rejected", "Bytes", "Rows/s", "Took"];
const WORDS = ["Agent"];

export function Steps({ steps, pace }: { steps: StepRun[]; pace: ReadonlyMap<string, number> }) {
  const now = useNow(steps.some((step) => step.started_at && !step.finished_at));
  return (
    <Paper withBorder className="cards">
      <Table.ScrollContainer minWidth={900} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "region", "aria-label": "Steps" } }}>
        <Table role="table" verticalSpacing="xs" aria-label="Steps">
          <Table.Thead role="rowgroup">
            <Table.Tr role="row">
              <Table.Th role="columnheader">Step</Table.Th>
              <Table.Th role="columnheader">State</Table.Th>
              {COLUMNS.map((title) => (
                <Table.Th role="columnheader" key={title} ta={WORDS.includes(title) ? undefined : "right"}>
                  {title}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody role="rowgroup">
            {steps.map((step) => (
              <Step key={`${step.step} ${step.attempt}`} step={step} now={now} pace={pace.get(step.step)} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}

function took(step: StepRun, now: number): string {
  if (!step.started_at) return "-";
  const until = step.finished_at ? Date.parse(step.finished_at) : now;
  return duration(Math.max(0, until - Date.parse(step.started_at)));
}

function Step({ step, now, pace }: { step: StepRun; now: number; pace: number | undefined }) {
  const { failure } = step;
  const open = step.started_at && !step.finished_at;
  const rate = open ? (pace ?? step.rows_per_second) : step.rows_per_second;
  const more = failure ?? step.reason ?? step.committed;
  return (
    <>
      <Table.Tr role="row" className={more ? "row-open" : undefined}>
        <Table.Td role="cell" className="card-name">
          <Text size="sm" fw={500} className="wraps">
            {step.step}
          </Text>
          {step.promise && (
            <Tooltip label="What this step promises when an attempt is repeated">
              <Text size="xs" c="dimmed" w="max-content" tabIndex={0}>
                {words(step.promise)}
              </Text>
            </Tooltip>
          )}
        </Table.Td>
        <Table.Td role="cell" className="card-controls">
          <StateBadge state={step.state} />
        </Table.Td>
        <Figure title="Attempt">{step.attempt}</Figure>
        <Table.Td role="cell" className="card-fact" data-title="Agent">
          {step.agent ? (
            <Anchor size="sm" renderRoot={(props) => <Link to="/agents/$id" params={{ id: step.agent ?? "" }} {...props} />}>
              {step.agent}
            </Anchor>
          ) : (
            "-"
          )}
        </Table.Td>
        <Figure title="Rows in">{count(step.rows_in)}</Figure>
        <Figure title="Rows out">{count(step.rows_out)}</Figure>
        <Figure title="Rejected">{count(step.rows_rejected)}</Figure>
        <Figure title="Bytes">{bytes(step.bytes)}</Figure>
        <Figure title="Rows/s">{rate == null ? "-" : count(rate)}</Figure>
        <Figure title="Took">{took(step, now)}</Figure>
      </Table.Tr>
      {more && (
        <Table.Tr role="row">
          <Table.Td role="cell" colSpan={10} pt={0} className="card-more wraps">
            {(failure ?? step.reason) && (
              <Text size="sm" c={failure ? "red" : "dimmed"}>
                <Said text={failure ? failure.message : (step.reason ?? "")} />
              </Text>
            )}
            {failure?.advice && (
              <Text size="sm">
                <Said text={failure.advice} />
              </Text>
            )}
            {step.committed && (
              <Text size="xs" c="dimmed">
                {count(step.committed.rows)} rows are in the target, up to {JSON.stringify(step.committed.checkpoint)}
              </Text>
            )}
          </Table.Td>
        </Table.Tr>
      )}
    </>
  );
}

function Figure({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <Table.Td role="cell" className="card-fact figure" data-title={title}>
      <div>{children}</div>
    </Table.Td>
  );
}

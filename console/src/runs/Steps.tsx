// Every attempt of every step, with its figures.

import { Anchor, Paper, Table, Text, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { StepRun } from "../api/types";
import { bytes, count, duration, words } from "../parts/format";
import { StateBadge } from "../parts/StateBadge";
import { useNow } from "../parts/Time";

const COLUMNS = ["Attempt", "Agent", "Rows in", "Rows out", "Rejected", "Bytes", "Rows/s", "Took"];
const WORDS = ["Agent"];

export function Steps({ steps, pace }: { steps: StepRun[]; pace: ReadonlyMap<string, number> }) {
  const now = useNow(steps.some((step) => step.started_at && !step.finished_at));
  return (
    <Paper withBorder>
      <Table.ScrollContainer minWidth={900} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "region", "aria-label": "Steps" } }}>
        <Table verticalSpacing="xs" aria-label="Steps">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Step</Table.Th>
              <Table.Th>State</Table.Th>
              {COLUMNS.map((title) => (
                <Table.Th key={title} ta={WORDS.includes(title) ? undefined : "right"}>
                  {title}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
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
      <Table.Tr className={more ? "row-open" : undefined}>
        <Table.Td>
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
        <Table.Td>
          <StateBadge state={step.state} />
        </Table.Td>
        <Table.Td className="figure">{step.attempt}</Table.Td>
        <Table.Td>
          {step.agent ? (
            <Anchor size="sm" renderRoot={(props) => <Link to="/agents/$id" params={{ id: step.agent ?? "" }} {...props} />}>
              {step.agent}
            </Anchor>
          ) : (
            "-"
          )}
        </Table.Td>
        <Table.Td className="figure">{count(step.rows_in)}</Table.Td>
        <Table.Td className="figure">{count(step.rows_out)}</Table.Td>
        <Table.Td className="figure">{count(step.rows_rejected)}</Table.Td>
        <Table.Td className="figure">{bytes(step.bytes)}</Table.Td>
        <Table.Td className="figure">{rate == null ? "-" : count(rate)}</Table.Td>
        <Table.Td className="figure">{took(step, now)}</Table.Td>
      </Table.Tr>
      {more && (
        <Table.Tr>
          <Table.Td colSpan={10} pt={0}>
            {(failure ?? step.reason) && (
              <Text size="sm" c={failure ? "red" : "dimmed"}>
                {failure ? failure.message : step.reason}
              </Text>
            )}
            {failure?.advice && <Text size="sm">{failure.advice}</Text>}
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

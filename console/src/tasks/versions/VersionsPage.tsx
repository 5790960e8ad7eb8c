// The versions of a task: what differs between two of them, and a way back.

import { ActionIcon, Anchor, Badge, Button, Grid, Group, Modal, Paper, Radio, Skeleton, Stack, Table, Text, Title, Tooltip } from "@mantine/core";
import { IconRestore } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { get, path } from "../../api/client";
import { taskQuery, useGrowingList } from "../../api/queries";
import type { Task, Version } from "../../api/types";
import { PageHead } from "../../parts/PageHead";
import { Refused } from "../../parts/Refused";
import { Time } from "../../parts/Time";
import { told } from "../../parts/toast";
import { DiffView } from "./DiffView";
import "../editor.css";

const route = getRouteApi("/shell/tasks/$id/versions");

export function VersionsPage() {
  const { id } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const task = useQuery(taskQuery(id));
  const list = useGrowingList<Version>(`tasks/${id}/versions`, { sort: "-number" });
  const [restoring, setRestoring] = useState<Version | null>(null);
  if (!task.data) return task.error ? <Refused error={task.error} title="The task cannot be shown" /> : <Skeleton h={320} aria-label="Loading" />;
  const current = task.data.summary.version;
  const to = search.to ?? current;
  const from = search.from ?? Math.max(1, to - 1);
  const [old, next] = [list.rows.find((one) => one.version === from), list.rows.find((one) => one.version === to)];
  const choose = (chosen: { from?: number; to?: number }) => void navigate({ search: { from, to, ...chosen }, replace: true });
  return (
    <>
      <PageHead title={`Versions of ${task.data.summary.name}`}>
        <Button variant="default" component={Link} to={`/tasks/${id}`}>
          Back to the task
        </Button>
      </PageHead>
      <Refused error={list.error} title="The versions cannot be shown" />
      <Grid gap="md">
        <Grid.Col span={{ base: 12, lg: 5 }}>
          <Paper withBorder>
            <Table aria-label="Versions" verticalSpacing={6}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>From</Table.Th>
                  <Table.Th>To</Table.Th>
                  <Table.Th>Version</Table.Th>
                  <Table.Th>Saved</Table.Th>
                  <Table.Th w={1} aria-label="Actions" />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {list.isPending && (
                  <Table.Tr>
                    <Table.Td colSpan={5}>
                      <Skeleton h={20} />
                    </Table.Td>
                  </Table.Tr>
                )}
                {list.rows.map((version) => (
                  <Table.Tr key={version.id}>
                    <Table.Td>
                      <Radio name="from" aria-label={`From version ${version.version}`} checked={version.version === from} onChange={() => choose({ from: version.version })} />
                    </Table.Td>
                    <Table.Td>
                      <Radio name="to" aria-label={`To version ${version.version}`} checked={version.version === to} onChange={() => choose({ to: version.version })} />
                    </Table.Td>
                    <Table.Td>
                      <Group gap={6} wrap="nowrap">
                        {version.version}
                        {version.version === current && (
                          <Badge variant="light" tt="none">
                            Current
                          </Badge>
                        )}
                      </Group>
                    </Table.Td>
                    <Table.Td>
                      <Text size="sm">
                        <Time at={version.created_at} />
                      </Text>
                      <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
                        {version.author}
                      </Text>
                    </Table.Td>
                    <Table.Td>
                      {version.version !== current && (
                        <Tooltip label="Restore as a new version">
                          <ActionIcon variant="subtle" color="gray" aria-label={`Restore version ${version.version}`} onClick={() => setRestoring(version)}>
                            <IconRestore size={18} />
                          </ActionIcon>
                        </Tooltip>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
            {list.hasNextPage && (
              <Group p="xs" justify="flex-end">
                <Button variant="default" size="xs" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                  Show more
                </Button>
              </Group>
            )}
          </Paper>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 7 }}>
          <Paper withBorder component="section" aria-label="Differences" style={{ overflow: "hidden" }}>
            <Title order={2} size="h5" p="sm">
              {from === to ? `Version ${to}` : `From version ${from} to ${to}`}
            </Title>
            {old && next ? (
              <DiffView old={old.document} next={next.document} label={`From version ${from} to ${to}, line by line`} />
            ) : (
              !list.isPending && (
                <Text size="sm" c="dimmed" p="md">
                  One of them is not in the list yet: <Anchor component="button" type="button" size="sm" underline="always" onClick={() => void list.fetchNextPage()}>show more</Anchor>.
                </Text>
              )
            )}
          </Paper>
        </Grid.Col>
      </Grid>
      {restoring && <RestoreDialog task={task.data} version={restoring} onClose={() => setRestoring(null)} />}
    </>
  );
}

function RestoreDialog({ task, version, onClose }: { task: Task; version: Version; onClose: () => void }) {
  const { summary } = task;
  const cache = useQueryClient();
  const navigate = route.useNavigate();
  const restore = useMutation({
    mutationFn: () => get<Task>(path`/tasks/${summary.id}`, { method: "PUT", text: version.document, version: summary.version }),
    onSuccess: (next) => {
      told(`Version ${version.version} is restored as version ${next.summary.version}`);
      cache.setQueryData(taskQuery(summary.id).queryKey, next);
      void cache.invalidateQueries({ queryKey: [`tasks/${summary.id}/versions`] });
      void cache.invalidateQueries({ queryKey: ["tasks", "list"] });
      onClose();
      void navigate({ search: {}, replace: true });
    },
  });
  return (
    <Modal opened onClose={onClose} title={`Restore version ${version.version}?`} size="lg">
      <Stack>
        <Text size="sm">
          It is saved again as version {summary.version + 1}; the versions in between stay. Compared with version {summary.version}:
        </Text>
        <Paper withBorder style={{ overflow: "hidden" }}>
          <DiffView old={task.document} next={version.document} label="What the restore changes" />
        </Paper>
        <Refused error={restore.error} title="Not restored" />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            Cancel
          </Button>
          <Button loading={restore.isPending} onClick={() => restore.mutate()}>
            Restore
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

// One task, or a new one.

import { Badge, Button, Skeleton, Text } from "@mantine/core";
import { IconGitCompare, IconHistory, IconPlayerPlay } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { taskQuery } from "../api/queries";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Time } from "../parts/Time";
import { Editor } from "./Editor";
import { StartDialog } from "./StartDialog";

const route = getRouteApi("/shell/tasks/$id");

export function TaskPage() {
  const { id } = route.useParams();
  const { data: task, error } = useQuery(taskQuery(id));
  const [starting, setStarting] = useState(false);
  if (!task) return error ? <Refused error={error} title="The task cannot be shown" /> : <Skeleton h={320} aria-label="Loading" />;
  const { summary } = task;
  return (
    <>
      <PageHead title={summary.name} badge={!summary.active && <Badge color="gray" variant="light" tt="none">Inactive</Badge>}>
        <Button variant="default" component={Link} to={`/tasks/${summary.id}/versions`} leftSection={<IconGitCompare size={16} />}>
          Versions
        </Button>
        <Button variant="default" renderRoot={(props) => <Link to="/runs" search={{ task: summary.id }} {...props} />} leftSection={<IconHistory size={16} />}>
          Runs
        </Button>
        <Button leftSection={<IconPlayerPlay size={16} />} disabled={!summary.active} onClick={() => setStarting(true)}>
          Start
        </Button>
      </PageHead>
      <Text size="sm" c="dimmed" mb="sm">
        Version {summary.version}, saved <Time at={summary.updated_at} /> by {summary.author}
      </Text>
      <Editor key={summary.id} task={task} />
      {starting && <StartDialog id={summary.id} onClose={() => setStarting(false)} />}
    </>
  );
}

export function NewTaskPage() {
  return (
    <>
      <PageHead title="New task" />
      <Editor />
    </>
  );
}

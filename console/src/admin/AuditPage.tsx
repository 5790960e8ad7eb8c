// Who changed what, and when.

import { Anchor, Badge, Button, Group, Select, Text, Tooltip } from "@mantine/core";
import { IconCheck, IconX } from "@tabler/icons-react";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useList } from "../api/queries";
import type { AuditLine } from "../api/types";
import { words } from "../parts/format";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { SavedViews } from "../parts/SavedViews";
import { SearchField } from "../parts/SearchField";
import { Time } from "../parts/Time";

const route = getRouteApi("/shell/audit");

const KINDS = ["agent", "connection", "task", "run", "variable", "limit", "channel", "token"];

/** Pages that show what a line is about. */
const PAGES: Record<string, string> = { agent: "/agents", task: "/tasks", run: "/runs" };

const COLUMNS: Column<AuditLine>[] = [
  { title: "When", cell: (line) => <Time at={line.at} /> },
  {
    title: "Who",
    cell: (line) => (
      <>
        <span className="name">{line.who}</span>
        {line.by_api_token && (
          <Text size="xs" c="dimmed">
            by API token
          </Text>
        )}
      </>
    ),
  },
  { title: "What", cell: (line) => said(line.action) },
  { title: "On", cell: (line) => <On line={line} /> },
  { title: "Answer", cell: (line) => <Answer status={line.status} /> },
  { title: "From", cell: (line) => line.address ?? "-" },
];

/** "agent.levels.change" as "Agent: levels change". */
function said(action: string): string {
  const [kind = "", ...rest] = action.split(".");
  return `${words(kind)}: ${rest.join(" ").replaceAll("_", " ")}`;
}

function On({ line }: { line: AuditLine }) {
  const kind = line.action.split(".")[0] ?? "";
  const name = line.target_name ?? line.target;
  const page = PAGES[kind];
  if (!name) return <>-</>;
  const gone = line.action.endsWith(".remove");
  if (!page || gone || !line.target) return <span className="name">{name}</span>;
  return (
    <Anchor component={Link} to={`${page}/${line.target}`} size="sm" className="name">
      {name}
    </Anchor>
  );
}

function Answer({ status }: { status: number }) {
  const ok = status < 400;
  return (
    <Tooltip label={`HTTP ${status}`}>
      <Badge variant="light" tt="none" color={ok ? "green" : "red"} leftSection={ok ? <IconCheck size={12} aria-hidden /> : <IconX size={12} aria-hidden />}>
        {ok ? "Done" : "Refused"}
      </Badge>
    </Tooltip>
  );
}

export function AuditPage() {
  const { search, action } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useList<AuditLine>("audit", { search, action, sort: "-at" }, 5000);
  const change = (next: { search?: string | undefined; action?: string | undefined }) => void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
  return (
    <>
      <PageHead title="Audit">
        <SavedViews list="audit" />
      </PageHead>
      <Group mb="sm" gap="sm">
        <SearchField label="Search who, what, on" value={search} onChange={(next) => change({ search: next })} />
        <Select
          w={180}
          aria-label="About"
          placeholder="About everything"
          clearable
          data={KINDS.map((value) => ({ value, label: `${words(value)}s` }))}
          value={action ?? null}
          onChange={(next) => change({ action: next ?? undefined })}
        />
      </Group>
      <List
        label="Changes"
        columns={COLUMNS}
        id={(line) => `${line.at} ${line.action} ${line.target ?? ""} ${line.who}`}
        list={list}
        sort="-at"
        onSort={() => {}}
        empty={
          search || action ? (
            <Button variant="light" onClick={() => change({ search: undefined, action: undefined })}>
              Show all
            </Button>
          ) : (
            <Text c="dimmed">What people change here appears in this list, and stays for 400 days.</Text>
          )
        }
      />
    </>
  );
}

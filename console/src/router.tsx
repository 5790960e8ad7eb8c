// Addresses. Filters and sorts are part of them, so that every view can be linked.

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect, type RouteComponent } from "@tanstack/react-router";
import { AuditPage } from "./admin/AuditPage";
import { ConnectorsPage } from "./admin/ConnectorsPage";
import { HealthPage } from "./admin/HealthPage";
import { LicencePage } from "./admin/LicencePage";
import { LimitsPage } from "./admin/LimitsPage";
import { UsersPage } from "./admin/UsersPage";
import { VariablesPage } from "./admin/VariablesPage";
import { AgentLogPage } from "./agents/AgentLogPage";
import { AgentPage } from "./agents/AgentPage";
import { AgentsPage } from "./agents/AgentsPage";
import { client, onSignedOut } from "./api/cache";
import { ApiError } from "./api/client";
import { meQuery } from "./api/queries";
import { NotificationsPage } from "./channels/NotificationsPage";
import { ConnectionsPage } from "./connections/ConnectionsPage";
import { isUnsaved } from "./parts/unsaved";
import { RunPage } from "./runs/RunPage";
import { RunsPage } from "./runs/RunsPage";
import { NotFound } from "./shell/NotFound";
import { Shell } from "./shell/Shell";
import { SignIn } from "./shell/SignIn";
import { askAgain } from "./shell/SignInAgain";
import { StartPage } from "./start/StartPage";
import { TasksPage } from "./tasks/TasksPage";
import { TriggersPage } from "./triggers/TriggersPage";

type Search = Record<string, unknown>;

/** What an address may carry besides its path. */
interface Filters {
  to?: string | undefined;
  status?: string | undefined;
  inactive?: true | undefined;
  search?: string | undefined;
  sort?: string | undefined;
  level?: string | undefined;
  source?: string | undefined;
  task?: string | undefined;
  state?: string | undefined;
  step?: string | undefined;
  test?: true | undefined;
  layout?: string | undefined;
  tab?: string | undefined;
  line?: string | undefined;
  trigger?: string | undefined;
  agent?: string | undefined;
  action?: string | undefined;
  view?: string | undefined;
}

/** What of a task's editor is in sight. */
const sight = (search: Search): Pick<Filters, "layout" | "step" | "tab"> => ({
  layout: text(search["layout"]),
  step: text(search["step"]),
  tab: text(search["tab"]),
});

/** A word of the address; anything else is left out. */
const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

/** A number of the address, as it stands there. */
const number = (value: unknown) => (typeof value === "number" ? String(value) : text(value));

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search: Search): Pick<Filters, "to"> => ({ to: text(search["to"]) }),
  component: SignIn,
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  beforeLoad: async ({ location }) => {
    try {
      await client.ensureQueryData(meQuery);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        throw redirect({ to: "/sign-in", search: { to: location.href === "/" ? undefined : location.href } });
      }
      // The pages say that the server does not answer.
    }
  },
});

const index = createRoute({
  getParentRoute: () => shell,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/agents", replace: true });
  },
});

const agents = createRoute({
  getParentRoute: () => shell,
  path: "/agents",
  validateSearch: (search: Search): Pick<Filters, "status" | "inactive" | "search" | "sort"> => ({
    status: text(search["status"]),
    inactive: search["inactive"] === true ? true : undefined,
    search: text(search["search"]),
    sort: text(search["sort"]),
  }),
  component: AgentsPage,
});

const agent = createRoute({
  getParentRoute: () => shell,
  path: "/agents/$id",
  validateSearch: (search: Search): Pick<Filters, "tab"> => ({ tab: text(search["tab"]) }),
  component: AgentPage,
});

const agentLog = createRoute({
  getParentRoute: () => shell,
  path: "/agents/$id/log",
  validateSearch: (search: Search): Pick<Filters, "level" | "source" | "search" | "line"> => ({
    line: number(search["line"]),
    level: text(search["level"]),
    source: text(search["source"]),
    search: text(search["search"]),
  }),
  component: AgentLogPage,
});

const runs = createRoute({
  getParentRoute: () => shell,
  path: "/runs",
  validateSearch: (search: Search): Pick<Filters, "task" | "state" | "trigger" | "agent" | "search" | "sort"> => ({
    task: text(search["task"]),
    state: text(search["state"]),
    trigger: text(search["trigger"]),
    agent: text(search["agent"]),
    search: text(search["search"]),
    sort: text(search["sort"]),
  }),
  component: RunsPage,
});

const run = createRoute({
  getParentRoute: () => shell,
  path: "/runs/$id",
  validateSearch: (search: Search): Pick<Filters, "level" | "step" | "view"> => ({
    level: text(search["level"]),
    step: text(search["step"]),
    view: text(search["view"]),
  }),
  component: RunPage,
});

const tasks = createRoute({
  getParentRoute: () => shell,
  path: "/tasks",
  validateSearch: (search: Search): Pick<Filters, "inactive" | "search" | "sort"> => ({
    inactive: search["inactive"] === true ? true : undefined,
    search: text(search["search"]),
    sort: text(search["sort"]),
  }),
  component: TasksPage,
});

// The editor is large and seldom needed first.
const newTask = createRoute({
  getParentRoute: () => shell,
  path: "/new-task",
  validateSearch: sight,
  component: lazyRouteComponent(() => import("./tasks/TaskPage"), "NewTaskPage"),
});

const task = createRoute({
  getParentRoute: () => shell,
  path: "/tasks/$id",
  validateSearch: sight,
  component: lazyRouteComponent(() => import("./tasks/TaskPage"), "TaskPage"),
});

const whole = (value: unknown) => (Number.isSafeInteger(value) ? (value as number) : undefined);

const versions = createRoute({
  getParentRoute: () => shell,
  path: "/tasks/$id/versions",
  validateSearch: (search: Search): { from?: number | undefined; to?: number | undefined } => ({ from: whole(search["from"]), to: whole(search["to"]) }),
  component: lazyRouteComponent(() => import("./tasks/versions/VersionsPage"), "VersionsPage"),
});

const connections = createRoute({
  getParentRoute: () => shell,
  path: "/connections",
  validateSearch: (search: Search): Pick<Filters, "search" | "sort"> => ({ search: text(search["search"]), sort: text(search["sort"]) }),
  component: ConnectionsPage,
});

/** Whether what was saved just now is tested at once. */
const tested = (search: Search): Pick<Filters, "test"> => ({ test: search["test"] === true ? true : undefined });

const newConnection = createRoute({
  getParentRoute: () => shell,
  path: "/new-connection",
  component: lazyRouteComponent(() => import("./connections/ConnectionPage"), "NewConnectionPage"),
});

const connection = createRoute({
  getParentRoute: () => shell,
  path: "/connections/$id",
  validateSearch: tested,
  component: lazyRouteComponent(() => import("./connections/ConnectionPage"), "ConnectionPage"),
});

const newChannel = createRoute({
  getParentRoute: () => shell,
  path: "/new-channel",
  component: lazyRouteComponent(() => import("./channels/ChannelPage"), "NewChannelPage"),
});

const channel = createRoute({
  getParentRoute: () => shell,
  path: "/notifications/$id",
  validateSearch: tested,
  component: lazyRouteComponent(() => import("./channels/ChannelPage"), "ChannelPage"),
});

/** A page that takes these words of the address. */
const page = <const P extends string, const K extends keyof Filters>(path: P, words: readonly K[], component: RouteComponent) =>
  createRoute({
    getParentRoute: () => shell,
    path,
    validateSearch: (search: Search) => Object.fromEntries(words.map((word) => [word, text(search[word])])) as Pick<Filters, K>,
    component,
  });

const start = page("/start", ["agent"], StartPage);
const triggers = page("/triggers", ["sort"], TriggersPage);
const connectors = page("/connectors", ["search"], ConnectorsPage);
const licences = page("/licences", [], LicencePage);
const users = page("/users", [], UsersPage);
const notifications = page("/notifications", ["view"], NotificationsPage);
const variables = page("/variables", ["sort"], VariablesPage);
const limits = page("/limits", [], LimitsPage);
const audit = page("/audit", ["search", "action"], AuditPage);
const health = page("/health", [], HealthPage);

const work = [index, agents, agent, agentLog, runs, run, tasks, newTask, task, versions, connections, newConnection, connection];
const administration = [start, triggers, connectors, licences, users, notifications, variables, newChannel, channel, limits, audit, health];

export const router = createRouter({
  routeTree: root.addChildren([signIn, shell.addChildren([...work, ...administration])]),
  defaultPreload: false,
});

onSignedOut(() => {
  if (router.state.location.pathname === "/sign-in") return;
  if (isUnsaved()) return askAgain();
  client.clear();
  void router.navigate({ to: "/sign-in", search: { to: router.state.location.href }, replace: true });
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

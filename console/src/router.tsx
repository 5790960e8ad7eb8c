// Addresses. Filters and sorts are part of them, so that every view can be linked.

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { AgentLogPage } from "./agents/AgentLogPage";
import { AgentPage } from "./agents/AgentPage";
import { AgentsPage } from "./agents/AgentsPage";
import { client, onSignedOut } from "./api/cache";
import { ApiError } from "./api/client";
import { meQuery } from "./api/queries";
import { ConnectionsPage } from "./connections/ConnectionsPage";
import { RunPage } from "./runs/RunPage";
import { RunsPage } from "./runs/RunsPage";
import { NotFound } from "./shell/NotFound";
import { Shell } from "./shell/Shell";
import { SignIn } from "./shell/SignIn";
import { TasksPage } from "./tasks/TasksPage";

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
}

/** A word of the address; anything else is left out. */
const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

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

const agent = createRoute({ getParentRoute: () => shell, path: "/agents/$id", component: AgentPage });

const agentLog = createRoute({
  getParentRoute: () => shell,
  path: "/agents/$id/log",
  validateSearch: (search: Search): Pick<Filters, "level" | "source" | "search"> => ({
    level: text(search["level"]),
    source: text(search["source"]),
    search: text(search["search"]),
  }),
  component: AgentLogPage,
});

const runs = createRoute({
  getParentRoute: () => shell,
  path: "/runs",
  validateSearch: (search: Search): Pick<Filters, "task" | "state" | "sort"> => ({
    task: text(search["task"]),
    state: text(search["state"]),
    sort: text(search["sort"]),
  }),
  component: RunsPage,
});

const run = createRoute({
  getParentRoute: () => shell,
  path: "/runs/$id",
  validateSearch: (search: Search): Pick<Filters, "level" | "step"> => ({ level: text(search["level"]), step: text(search["step"]) }),
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
  component: lazyRouteComponent(() => import("./tasks/TaskPage"), "NewTaskPage"),
});

const task = createRoute({
  getParentRoute: () => shell,
  path: "/tasks/$id",
  component: lazyRouteComponent(() => import("./tasks/TaskPage"), "TaskPage"),
});

const connections = createRoute({
  getParentRoute: () => shell,
  path: "/connections",
  validateSearch: (search: Search): Pick<Filters, "search" | "sort"> => ({ search: text(search["search"]), sort: text(search["sort"]) }),
  component: ConnectionsPage,
});

const pages = [index, agents, agent, agentLog, runs, run, tasks, newTask, task, connections];

export const router = createRouter({
  routeTree: root.addChildren([signIn, shell.addChildren(pages)]),
  defaultPreload: false,
});

onSignedOut(() => {
  if (router.state.location.pathname === "/sign-in") return;
  client.clear();
  void router.navigate({ to: "/sign-in", search: { to: router.state.location.href }, replace: true });
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

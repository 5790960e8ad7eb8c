// The pages that the navigation and the search know.

import {
  IconBell,
  IconCalendarTime,
  IconGauge,
  IconHeartbeat,
  IconHistory,
  IconLicense,
  IconListDetails,
  IconPlayerPlay,
  IconPlug,
  IconPuzzle,
  IconRocket,
  IconServer2,
  IconUsers,
  IconVariable,
  type Icon,
} from "@tabler/icons-react";

export interface PageLink {
  to: string;
  label: string;
  Icon: Icon;
  /** Other words by which it is found. */
  also?: string;
}

export const WORK: PageLink[] = [
  { to: "/agents", label: "Agents", Icon: IconServer2 },
  { to: "/connections", label: "Connections", Icon: IconPlug },
  { to: "/tasks", label: "Tasks", Icon: IconListDetails },
  { to: "/runs", label: "Runs", Icon: IconPlayerPlay },
  { to: "/triggers", label: "Triggers", Icon: IconCalendarTime, also: "schedules cron webhooks" },
  { to: "/connectors", label: "Connectors", Icon: IconPuzzle },
];

export const ADMINISTRATION: PageLink[] = [
  { to: "/licences", label: "Licenses", Icon: IconLicense, also: "licences tier maximum" },
  { to: "/users", label: "Users and tokens", Icon: IconUsers, also: "people api" },
  { to: "/notifications", label: "Notifications", Icon: IconBell, also: "mail webhook channels" },
  { to: "/variables", label: "Variables", Icon: IconVariable },
  { to: "/limits", label: "Limits", Icon: IconGauge, also: "parallel at once" },
  { to: "/audit", label: "Audit", Icon: IconHistory, also: "who changed what" },
  { to: "/health", label: "System health", Icon: IconHeartbeat, also: "metrics status" },
];

export const START: PageLink = { to: "/start", label: "First steps", Icon: IconRocket, also: "getting started" };

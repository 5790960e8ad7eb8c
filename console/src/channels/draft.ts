// A channel while it is written. Pure.

import type { Channel, Rule } from "../api/types";
import { sentence } from "../parts/format";
import { given } from "../parts/schema/set";

export interface Draft {
  name: string;
  kind: string;
  settings: Record<string, unknown>;
  /** A text replaces, null removes; what is not here stays. */
  secrets: Record<string, string | null>;
  rules: Rule[];
  hourly: number;
  active: boolean;
}

/** Every event of every task. */
export const EVERYTHING: Rule = { events: [], tasks: [], repeat: false };

export function draftOf(channel: Channel | undefined): Draft {
  if (!channel) return { name: "", kind: "smtp", settings: {}, secrets: {}, rules: [EVERYTHING], hourly: 30, active: true };
  const { name, kind, settings, rules, hourly, active } = channel;
  return { name, kind, settings: settings as Record<string, unknown>, secrets: {}, rules, hourly, active };
}

/** As the API takes it. */
export function bodyOf(draft: Draft): object {
  return { ...draft, secrets: given(draft.secrets) };
}

/** In a few words, which events of which tasks. */
export function tells(rules: Rule[]): string {
  if (rules.length === 0) return "Nothing";
  return rules
    .map(({ events, tasks }) => `${events.length > 0 ? sentence(listed(events.map(eventWord))) : "Every event"} of ${tasks.length > 0 ? listed(tasks) : "every task"}`)
    .join("; ");
}

export const EVENTS = [
  { value: "failure", label: "Failures", about: "A run failed or timed out, and the task was well before." },
  { value: "recovery", label: "Recoveries", about: "The first run that went well after a failure." },
  { value: "late", label: "Late runs", about: "A run has not ended in the time that its trigger gives it." },
] as const;

const eventWord = (event: string) => (EVENTS.find((one) => one.value === event)?.label ?? event).toLowerCase();

function listed(names: string[]): string {
  return names.length > 2 ? `${names.slice(0, 2).join(", ")} and ${names.length - 2} more` : names.join(" and ");
}

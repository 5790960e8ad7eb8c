// What a person has chosen on this browser: time zone and environment.

import { useSyncExternalStore } from "react";

const ZONE = "sallyport.zone";
const ENVIRONMENT = "sallyport.environment";
const listeners = new Set<() => void>();

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function set(key: string, value: string) {
  localStorage.setItem(key, value);
  for (const listener of listeners) listener();
}

export const localZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The zone of absolute times: an IANA name. */
export function useZone(): [string, (zone: string) => void] {
  const zone = useSyncExternalStore(subscribe, () => localStorage.getItem(ZONE) ?? localZone);
  return [zone, (next) => set(ZONE, next)];
}

/** The id of the environment that requests are about; none for the company's first. */
export function chosenEnvironment(): string | null {
  return localStorage.getItem(ENVIRONMENT);
}

export function chooseEnvironment(id: string) {
  set(ENVIRONMENT, id);
}

export function forgetEnvironment() {
  localStorage.removeItem(ENVIRONMENT);
}

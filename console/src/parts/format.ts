// Figures and times in words.

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const NUMBER = new Intl.NumberFormat("en");

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "5 min. ago" */
export function relative(at: Date, now: number): string {
  const seconds = (at.getTime() - now) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return RELATIVE.format(Math.trunc(seconds / size), unit);
  }
  return Math.abs(seconds) < 5 ? "just now" : RELATIVE.format(Math.trunc(seconds), "second");
}

// Making a format costs a hundred times more than using it.
const FORMATS = new Map<string, Intl.DateTimeFormat>();

function format(shape: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify(shape);
  const known = FORMATS.get(key) ?? new Intl.DateTimeFormat("sv-SE", shape);
  FORMATS.set(key, known);
  return known;
}

/** "2026-11-28 06:52:23 UTC" */
export function absolute(at: Date, zone: string): string {
  return `${format({ dateStyle: "short", timeStyle: "medium", timeZone: zone }).format(at)} ${zone}`;
}

/** "06:52:23" */
export function clock(at: Date, zone: string, millis = false): string {
  const fraction = millis ? { fractionalSecondDigits: 3 as const } : {};
  const shape = { hour: "2-digit", minute: "2-digit", second: "2-digit", ...fraction, timeZone: zone } as const;
  return format(shape).format(at).replace(",", ".");
}

export function count(value: number): string {
  return NUMBER.format(value);
}

/** "1.4 MB", decimal. */
export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toPrecision(3)} ${units[unit]}`;
}

/** "1 h 4 min", "3.2 s" */
export function duration(millis: number): string {
  if (millis < 1000) return `${millis} ms`;
  if (millis < 60_000) return `${(millis / 1000).toFixed(1)} s`;
  const minutes = Math.floor(millis / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((millis % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "waiting_for_agent" as "Waiting for agent". */
export function words(word: string): string {
  return sentence(word.replaceAll("_", " "));
}

/** With a large first letter, unless it begins with the name of a file or a host. */
export function sentence(text: string): string {
  const [first = ""] = text.split(" ", 1);
  if (first === "localhost" || /[./:].|[./]$/.test(first)) return text;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

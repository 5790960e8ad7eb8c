/** What each level is for. A log holds its level and the more serious ones. */
export const LEVELS = [
  { level: "Trace", about: "Every detail: decisions, loops. For debugging by developers." },
  { level: "Debug", about: "Technical details and partial steps. For debugging by developers and administrators." },
  { level: "Info", about: "What the agent does, in words for everyone who works with it." },
  { level: "Warning", about: "Small or repairable faults. They do not fail a task." },
  { level: "Error", about: "Faults that cannot be repaired. The task fails." },
  { level: "Fatal", about: "Serious faults of the system, and starts that fail. Not recommended: it hides everything else." },
] as const;

// Short names for the shapes of the API.

import type { components } from "./schema";

type Shapes = components["schemas"];

export type Agent = Shapes["AgentView"];
export type AgentCounts = Shapes["CountsView"];
export type Connection = Shapes["ConnectionView"];
export type ConnectionTest = Shapes["TestView"];
export type Environment = Shapes["EnvironmentView"];
export type Licence = Shapes["LicenceView"];
export type LogLine = Shapes["LineView"];
export type Me = Shapes["MeView"];
export type Run = Shapes["RunView"];
export type RunLine = Shapes["RunLineView"];
export type StepRun = Shapes["StepRunView"];
export type Task = Shapes["TaskView"];
export type TaskSummary = Shapes["TaskSummary"];
export type Validation = Shapes["Validation"];
export type FieldProblem = Shapes["FieldProblem"];
export type Problem = Shapes["ProblemView"];

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
  total: number;
}

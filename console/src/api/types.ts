// Short names for the shapes of the API.

import type { components } from "./schema";

type Shapes = components["schemas"];

export type Address = Shapes["AddressView"];
export type Agent = Shapes["AgentView"];
export type ApiToken = Shapes["TokenView"];
export type AgentUse = Shapes["ServedView"];
export type AuditLine = Shapes["AuditView"];
export type Channel = Shapes["ChannelView"];
export type AgentCounts = Shapes["CountsView"];
export type Connection = Shapes["ConnectionView"];
export type Entry = Shapes["EntryView"];
export type Environment = Shapes["EnvironmentView"];
export type Delivery = Shapes["DeliveryView"];
export type Licence = Shapes["LicenceView"];
export type Limit = Shapes["LimitView"];
export type LogLine = Shapes["LineView"];
export type OnlineSpan = Shapes["SpanView"];
export type Person = Shapes["PersonView"];
export type SavedView = Shapes["ViewView"];
export type Me = Shapes["MeView"];
export type Run = Shapes["RunView"];
export type Rule = Shapes["RuleView"];
export type RunLine = Shapes["RunLineView"];
export type StepRun = Shapes["StepRunView"];
export type Task = Shapes["TaskView"];
export type TaskSummary = Shapes["TaskSummary"];
export type Test = Shapes["TestView"];
export type Trigger = Shapes["TriggerView"];
export type Variable = Shapes["VariableView"];
export type Validation = Shapes["Validation"];
export type FieldProblem = Shapes["FieldProblem"];
export type Problem = Shapes["ProblemView"];
export type Crash = Shapes["CrashView"];
export type Examination = Shapes["ExaminationView"];
export type Finding = Shapes["FindingView"];
export type Life = Shapes["LifeView"];
export type Liveness = Shapes["LivenessView"];
export type ConnectionUse = Shapes["UseView"];
export type Version = Shapes["VersionView"];
export type Webhook = Shapes["WebhookView"];
export type Preview = Shapes["PreviewView"];

/** A kind of connection and of steps, with the schemas of what both take. */
export interface Connector {
  kind: string;
  title: string;
  summary: string;
  origin: "built_in" | "third_party";
  reach: string;
  promise?: string | null;
  needs_connection: boolean;
  connection_schema?: object | null;
  secrets: string[];
  read_schema?: object | null;
  write_schema?: object | null;
}

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
  total: number;
}

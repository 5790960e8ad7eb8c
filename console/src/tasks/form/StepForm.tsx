// One step: where its rows come from, what its connector wants to know, and how it runs.

import { ActionIcon, Button, Divider, Group, MultiSelect, Select, Stack, Switch, Text, Title, Tooltip } from "@mantine/core";
import { IconTable, IconTrash, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { taskQuery } from "../../api/queries";
import type { FieldProblem } from "../../api/types";
import { ConnectorIcon } from "../../parts/ConnectorIcon";
import { fieldsOf, fieldsOfDefinition } from "../../parts/schema/fields";
import { pointer, wrongAt } from "../../parts/schema/problems";
import { SchemaForm } from "../../parts/schema/SchemaForm";
import { Typed } from "../../parts/schema/Typed";
import { removeStep, renameStep, setAfter, setField, setInput } from "../document/edit";
import { isObject, type Model, type Step } from "../document/model";
import { agentOf, gives, goesThrough, kindOf, throughOf, type World } from "../graph/world";
import { parameters } from "../parameters";
import { Committed } from "./Committed";

interface Props {
  step: Step;
  model: Model;
  world: World;
  problems: FieldProblem[];
  schema: unknown;
  onEdit: (edit: (text: string) => string) => void;
  onChoose: (name: string | undefined) => void;
  onPreview: () => void;
}

/** How a step runs, whatever it does. */
const RUNNING = ["when", "on_error", "timeout", "deadline", "retry", "active"];

export function StepForm({ step, model, world, problems, schema, onEdit, onChoose, onPreview }: Props) {
  const kind = kindOf(step, world);
  const connector = world.connectors.find((one) => one.kind === kind);
  const at = (...field: string[]) => ["steps", step.index, ...field];
  const wrong = (...field: string[]) => wrongAt(problems, pointer(at(...field)));
  const set = (path: (string | number)[], value: unknown) => onEdit((text) => setField(text, path, value));
  const settings = useMemo(() => fieldsOf(step.takes ? connector?.write_schema : connector?.read_schema), [connector, step.takes]);
  const running = useMemo(() => fieldsOfDefinition(schema, "Step").filter((field) => RUNNING.includes(field.name)), [schema]);
  const others = model.steps.filter((other) => other.index !== step.index && other.name !== "");
  const whole = wrong() ?? wrong("with");
  return (
    <Stack gap="sm" component="section" aria-label={`Step ${step.name}`}>
      <Group justify="space-between" wrap="nowrap">
        <Group gap="xs" wrap="nowrap" miw={0}>
          <ConnectorIcon kind={kind} size={22} />
          <Title order={2} size="h5" style={{ overflowWrap: "anywhere" }}>
            {titleOf(kind, step, connector?.title)}
          </Title>
        </Group>
        <Group gap={2} wrap="nowrap">
          <Tooltip label="Remove the step">
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label="Remove the step"
              onClick={() => {
                onEdit((text) => removeStep(text, step));
                onChoose(undefined);
              }}
            >
              <IconTrash size={18} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Back to the task">
            <ActionIcon variant="subtle" color="gray" aria-label="Back to the task" onClick={() => onChoose(undefined)}>
              <IconX size={18} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      {whole && (
        <Text size="sm" c="red" role="alert">
          {whole}
        </Text>
      )}
      <Committed
        label="Name"
        required
        error={wrong("name")}
        value={step.name}
        onCommit={(name) => {
          onEdit((text) => renameStep(text, step, name));
          onChoose(name);
        }}
      />
      {kind !== "transform" && kind !== "task" && <Place step={step} model={model} world={world} kind={kind} needsConnection={connector?.needs_connection ?? true} wrong={wrong} onEdit={onEdit} />}
      {kind === "transform" && (
        <OtherAgent step={step} model={model} world={world} description="Left open: the one that its first input comes from." wrong={wrong} onEdit={onEdit} />
      )}
      {kind !== "task" && (step.takes || others.some(gives)) && (
        <MultiSelect
          label="Rows from"
          description={kind === "transform" ? "The query sees each as a table of its name." : "A step that takes rows writes; without, it reads."}
          placeholder={step.input.length > 0 ? undefined : "Nothing yet"}
          error={wrong("input") ?? wrong("input", "0")}
          data={[...new Set([...others.filter(gives).map((other) => other.name), ...step.input])]}
          maxValues={kind === "transform" ? undefined : 1}
          value={step.input}
          onChange={(next) => onEdit((text) => setInput(text, step, next))}
          clearable
          clearButtonProps={{ "aria-label": "Clear rows from" }}
        />
      )}
      {kind === "transform" && (
        <Typed<string>
          label="Query"
          description="One SELECT over the steps whose rows come in."
          required
          lines
          error={wrong("transform")}
          value={step.transform}
          read={(text) => text}
          show={(text) => text}
          onChange={(next) => set(at("transform"), next ?? "")}
        />
      )}
      {kind === "task" && <Call step={step} world={world} wrong={wrong} onSet={(field, value) => set([...at(), ...field], value)} />}
      {settings.length > 0 && kind !== "transform" && (
        <SchemaForm
          key={`${step.index} ${kind} ${step.takes}`}
          fields={settings}
          value={step.with}
          at={at("with")}
          problems={problems}
          main={(field) => ["table", "query", "path", "mode", "key", "create", "program", "settings"].includes(field.name)}
          onChange={set}
        />
      )}
      {connector && !step.takes && (
        <Group>
          <Button variant="default" size="xs" leftSection={<IconTable size={14} />} disabled={step.name === ""} onClick={onPreview}>
            Show the first rows
          </Button>
        </Group>
      )}
      <Divider label="When and how it runs" labelPosition="left" />
      <MultiSelect
        label="After"
        description="Starts once these have ended well. They give it no rows."
        error={wrong("after")}
        data={[...new Set([...others.map((other) => other.name), ...step.after])]}
        value={step.after}
        onChange={(next) => onEdit((text) => setAfter(text, step, next))}
        clearable
        clearButtonProps={{ "aria-label": "Clear after" }}
      />
      <SchemaForm key={`${step.index} running`} fields={running} value={step.raw} at={at()} problems={problems} main={() => false} onChange={set} />
    </Stack>
  );
}

interface PlaceProps extends Pick<Props, "step" | "model" | "world" | "onEdit"> {
  kind: string;
  needsConnection: boolean;
  wrong: (...field: string[]) => string | undefined;
}

/** Where a connector's step goes: a connection, or an agent where none is needed. */
function Place({ step, model, world, kind, needsConnection, wrong, onEdit }: PlaceProps) {
  const at = (field: string) => ["steps", step.index, field];
  const fitting = world.connections.filter((connection) => kind === "" || connection.kind === kind);
  const named = step.connection !== undefined;
  const far = named && goesThrough(world.connectors.find((one) => one.kind === kind));
  const through = throughOf(step, world);
  const connect = (name: string | null) =>
    onEdit((text) => {
      // A connection says the connector and the agent.
      const first = setField(text, at("connection"), name ?? undefined);
      const second = setField(first, at("connector"), name === null ? kind : undefined);
      return name === null ? second : setField(second, at("agent"), undefined);
    });
  return (
    <>
      <Select
        label="Connection"
        required={needsConnection}
        description={needsConnection ? undefined : "Left open: files of the agent's own folder, or a program of its site."}
        error={wrong("connection") ?? wrong("connector")}
        data={fitting.map((connection) => ({ value: connection.name, label: `${connection.name} (${connection.agent})` }))}
        nothingFoundMessage="No connection fits"
        placeholder={fitting.length === 0 ? "There is none of this kind yet" : undefined}
        clearable
        clearButtonProps={{ "aria-label": "Clear connection" }}
        searchable
        value={step.connection ?? null}
        onChange={connect}
      />
      {far && (
        <OtherAgent
          step={step}
          model={model}
          world={world}
          description={through ? `Gets there through ${through}.` : "Left open: the one that reaches the connection. Another gets there through it."}
          wrong={wrong}
          onEdit={onEdit}
        />
      )}
      {!named && !needsConnection && (
        <Select
          label="Agent"
          required
          error={wrong("agent")}
          data={world.agents.map((agent) => ({ value: agent.name, label: agent.status === "online" ? agent.name : `${agent.name} (offline)` }))}
          searchable
          value={step.agent ?? null}
          onChange={(next) => onEdit((text) => setField(text, at("agent"), next ?? undefined))}
        />
      )}
    </>
  );
}

interface OtherAgentProps extends Pick<PlaceProps, "step" | "model" | "world" | "wrong" | "onEdit"> {
  description: string;
}

/** An agent other than the one that a step has by itself, whose name stands where none is chosen. */
function OtherAgent({ step, model, world, description, wrong, onEdit }: OtherAgentProps) {
  return (
    <Select
      label="Agent"
      description={description}
      placeholder={agentOf({ ...step, agent: undefined }, model.steps, world)}
      error={wrong("agent")}
      data={world.agents.map((agent) => agent.name)}
      clearable
      clearButtonProps={{ "aria-label": "Clear agent" }}
      searchable
      value={step.agent ?? null}
      onChange={(next) => onEdit((text) => setField(text, ["steps", step.index, "agent"], next ?? undefined))}
    />
  );
}

/** Which task is started, and with what. */
function Call({ step, world, wrong, onSet }: { step: Step; world: World; wrong: (...field: string[]) => string | undefined; onSet: (field: string[], value: unknown) => void }) {
  const called = world.tasks.find((task) => task.name.toLowerCase() === step.task?.toLowerCase());
  const known = useQuery({ ...taskQuery(called?.id ?? ""), enabled: called !== undefined });
  const given = isObject(step.raw["parameters"]) ? step.raw["parameters"] : {};
  return (
    <>
      <Select
        label="Task"
        required
        error={wrong("task")}
        data={[...new Set(world.tasks.map((task) => task.name))]}
        searchable
        nothingFoundMessage="No task is called that"
        value={step.task || null}
        onChange={(next) => onSet(["task"], next ?? "")}
      />
      {known.data &&
        parameters(known.data).map((parameter) => (
          <Typed<unknown>
            key={parameter.name}
            label={`Parameter ${parameter.name}`}
            description={[parameter.description, parameter.type].filter(Boolean).join(" - ")}
            required={parameter.required}
            placeholder={parameter.fallback}
            error={wrong("parameters", parameter.name)}
            value={given[parameter.name]}
            read={(text) => text || undefined}
            show={(value) => (typeof value === "string" ? value : JSON.stringify(value))}
            onChange={(next) => onSet(["parameters", parameter.name], next)}
          />
        ))}
      <Switch label="Wait for its end" description="Off: the step ends once the other task's run is started." checked={step.raw["wait"] !== false} onChange={(event) => onSet(["wait"], event.currentTarget.checked ? undefined : false)} />
    </>
  );
}

function titleOf(kind: string, step: Step, title: string | undefined): string {
  if (kind === "transform") return "SQL transform";
  if (kind === "task") return "Start a task";
  if (!title) return "Step";
  return step.takes ? `Write to ${title}` : `Read from ${title}`;
}

// The editor of a task: picture, forms and text show one document, which is the text.

import { Anchor, Button, Group, Paper, SegmentedControl, Stack } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconAlertTriangle, IconDeviceFloppy } from "@tabler/icons-react";
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import { ApiError, get, path } from "../api/client";
import { taskQuery, taskSchemaQuery } from "../api/queries";
import type { FieldProblem, Task, Validation } from "../api/types";
import { Refused } from "../parts/Refused";
import { told } from "../parts/toast";
import { useUnsaved } from "../parts/unsaved";
import { addStep } from "./document/edit";
import { rangeOf, read, type Step } from "./document/model";
import { Findings } from "./Findings";
import { StepForm } from "./form/StepForm";
import { TaskForm } from "./form/TaskForm";
import { Graph } from "./graph/Graph";
import { Palette } from "./graph/Palette";
import { pieces, stepOf, type Piece } from "./graph/pieces";
import { useWorld } from "./graph/world";
import { Overtaken } from "./Overtaken";
import { PreviewDialog } from "./PreviewDialog";
import { TEMPLATE } from "./template";
import { YamlEditor, type Handle } from "./YamlEditor";
import "./editor.css";

/** How long typing pauses before the server is asked. */
const PAUSE_MS = 400;

const NOTHING: FieldProblem[] = [];

export function Editor({ task }: { task?: Task }) {
  // The version that is edited; a newer one of somebody else must not be overwritten unseen.
  const [base, setBase] = useState({ document: task?.document ?? TEMPLATE, version: task?.summary.version });
  const [text, setText] = useState(base.document);
  const [checked] = useDebouncedValue(text, PAUSE_MS);
  const editor = useRef<Handle>(null);
  const [looking, setLooking] = useState<Step | null>(null);
  const findings = useRef<HTMLDivElement>(null);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const { layout = "both", step: wanted, tab } = useSearch({ strict: false });
  const world = useWorld();
  const schema = useQuery(taskSchemaQuery).data;
  const model = useMemo(() => read(text), [text]);
  const all = useMemo(() => pieces(world), [world]);
  const chosen = wanted === undefined ? undefined : model.steps.find((one) => one.name === wanted);
  const unsaved = text !== base.document;
  const changed = task === undefined || unsaved;
  const saved = useUnsaved(unsaved);
  const check = useQuery({
    queryKey: ["validate", checked],
    queryFn: ({ signal }) => get<Validation>("/tasks/validate", { method: "POST", text: checked, signal }),
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  });
  const problems = check.data?.problems ?? NOTHING;
  const marks = useMemo(() => problems.flatMap((problem) => mark(problem)), [problems]);
  function mark(problem: FieldProblem) {
    const from = placeOf(problem);
    return from === undefined ? [] : [{ from, message: problem.message }];
  }
  function placeOf(problem: FieldProblem): number | undefined {
    return rangeOf(read(checked), problem.path.split("/").slice(1).map(part))?.[0];
  }

  const look = (next: { layout?: string | undefined; step?: string | undefined; tab?: string | undefined }) =>
    void navigate({ to: ".", search: (now: object) => ({ ...now, ...next }), replace: true });
  const choose = (step: string | undefined) => look({ step });
  const edit = (change: (text: string) => string) => {
    const now = editor.current?.text() ?? text;
    editor.current?.replace(change(now));
  };
  const add = (piece: Piece): string => {
    const step = stepOf(piece, model, world, chosen);
    edit((now) => addStep(now, step));
    choose(String(step["name"]));
    return String(step["name"]);
  };
  const take = (next: Task) => {
    setBase({ document: next.document, version: next.summary.version });
    editor.current?.replace(next.document);
    cache.setQueryData(taskQuery(next.summary.id).queryKey, next);
  };
  const save = useMutation({
    mutationFn: (over: number | undefined) => {
      if (!task || base.version === undefined) return get<Task>("/tasks", { method: "POST", text });
      return get<Task>(path`/tasks/${task.summary.id}`, { method: "PUT", text, version: over ?? base.version });
    },
    onSuccess: (next) => {
      told(task ? `Saved as version ${next.summary.version}` : `Task ${next.summary.name} is added`);
      saved.current = true;
      take(next);
      void cache.invalidateQueries({ queryKey: ["tasks"], refetchType: "none" });
      if (!task) void navigate({ to: `/tasks/${next.summary.id}`, search: { layout: layout === "both" ? undefined : layout, step: wanted }, replace: true });
    },
  });
  const show = (problem: FieldProblem) => {
    const index = /^\/steps\/(\d+)/.exec(problem.path)?.[1];
    const list = /^\/(triggers|parameters)/.exec(problem.path)?.[1];
    look({ step: index === undefined ? undefined : model.steps[Number(index)]?.name, tab: list });
    const at = placeOf(problem);
    if (at !== undefined) editor.current?.reveal(at);
  };
  const overtaken = save.error instanceof ApiError && save.error.code === "changed_meanwhile";
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <SegmentedControl
          aria-label="Layout"
          size="xs"
          value={layout}
          onChange={(next) => look({ layout: next === "both" ? undefined : next })}
          data={[
            { value: "graph", label: "Graph" },
            { value: "both", label: "Graph and YAML" },
            { value: "yaml", label: "YAML" },
          ]}
        />
        <Group gap="sm">
          {problems.length > 0 && (
            <Anchor component="button" type="button" size="sm" c="red" onClick={() => findings.current?.scrollIntoView({ block: "end" })}>
              <Group gap={4} wrap="nowrap">
                <IconAlertTriangle size={16} aria-hidden />
                {problems.length === 1 ? "One problem" : `${problems.length} problems`}
              </Group>
            </Anchor>
          )}
          <Button leftSection={<IconDeviceFloppy size={16} />} loading={save.isPending} disabled={!changed} onClick={() => save.mutate(undefined)}>
            {task ? "Save as a new version" : "Add the task"}
          </Button>
        </Group>
      </Group>
      {overtaken && task ? (
        <Overtaken
          id={task.summary.id}
          mine={text}
          onTake={(newest) => {
            save.reset();
            take(newest);
          }}
          onInsist={(newest) => save.mutate(newest.summary.version)}
        />
      ) : (
        <Refused error={save.error} title="Not saved" />
      )}
      <div className="editor" data-layout={layout}>
        {layout !== "yaml" && (
          <Paper withBorder className="editor-graph">
            <Palette pieces={all} onAdd={add} />
            <Graph
              model={model}
              world={world}
              problems={problems}
              pieces={all}
              chosen={chosen}
              onChoose={choose}
              onEdit={edit}
              onAdd={add}
              onUndo={() => editor.current?.undo()}
              onRedo={() => editor.current?.redo()}
            />
          </Paper>
        )}
        {layout !== "yaml" && schema && (
          <Paper withBorder p="md" className="editor-form">
            {chosen ? (
              <StepForm key={`${chosen.index} ${chosen.name}`} step={chosen} model={model} world={world} problems={problems} schema={schema} onEdit={edit} onChoose={choose} onPreview={() => setLooking(chosen)} />
            ) : (
              <TaskForm model={model} schema={schema} problems={problems} check={check.data} tab={tab} onTab={(next) => look({ tab: next })} onEdit={edit} />
            )}
          </Paper>
        )}
        <Paper withBorder className="editor-yaml" hidden={layout === "graph"}>
          <YamlEditor
            handle={editor}
            label="Task document"
            initial={base.document}
            marks={marks}
            onChange={(next) => {
              saved.current = false;
              setText(next);
            }}
            onSave={() => changed && save.mutate(undefined)}
          />
        </Paper>
      </div>
      <div ref={findings}>
        <Findings check={check.data} error={check.error} onShow={show} />
      </div>
      <Anchor href="/api/v1/task-schema" target="_blank" rel="noreferrer" size="sm">
        What a task may say (JSON Schema)
      </Anchor>
      {looking !== null && <PreviewDialog document={text} model={model} step={looking} onClose={() => setLooking(null)} />}
    </Stack>
  );
}

/** A part of a JSON pointer. */
const part = (text: string) => (/^\d+$/.test(text) ? Number(text) : text.replaceAll("~1", "/").replaceAll("~0", "~"));

// The steps of a task as a picture that can be changed: dragged in, joined, removed.

import { Button, Group, Text, useComputedColorScheme } from "@mantine/core";
import { useReducedMotion } from "@mantine/hooks";
import { IconArrowBackUp, IconArrowForwardUp, IconLayoutDistributeHorizontal } from "@tabler/icons-react";
import { Background, Controls, MarkerType, Panel, ReactFlow, ReactFlowProvider, useNodesState, useReactFlow, type Connection as Joined, type Edge, type NodeChange } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { useEffect, useMemo, useRef, useState } from "react";
import type { FieldProblem } from "../../api/types";
import { place } from "../../parts/schema/problems";
import { removeStep, setAfter, setInput } from "../document/edit";
import { read, type Model, type Step } from "../document/model";
import { idOf, joints, NODE, places } from "./layout";
import { DRAGGED } from "./Palette";
import type { Piece } from "./pieces";
import { StepNodeView, type StepNode } from "./StepNode";
import { agentOf, gives, kindOf, throughOf, type World } from "./world";

interface Props {
  model: Model;
  world: World;
  problems: FieldProblem[];
  pieces: Piece[];
  chosen: Step | undefined;
  onChoose: (name: string | undefined) => void;
  /** A change of the text. */
  onEdit: (edit: (text: string) => string) => void;
  /** Adds a step and gives its name. */
  onAdd: (piece: Piece) => string;
  onUndo: () => void;
  onRedo: () => void;
}

/** Small enough to see much, large enough to read it. */
const FIT = { padding: 0.12, minZoom: 0.55, maxZoom: 1 };

const TYPES = { step: StepNodeView };

export function Graph(props: Props) {
  return (
    <ReactFlowProvider>
      <Picture {...props} />
    </ReactFlowProvider>
  );
}

function Picture({ model, world, problems, pieces, chosen, onChoose, onEdit, onAdd, onUndo, onRedo }: Props) {
  const scheme = useComputedColorScheme("light");
  const still = useReducedMotion();
  const flow = useReactFlow<StepNode>();
  // Where people put steps; the others stand where the layout wants them.
  const [put, setPut] = useState<Record<string, { x: number; y: number }>>({});
  const { steps } = model;
  const edges = useMemo(() => joints(steps), [steps]);
  const ids = useMemo(() => steps.map((step) => idOf(step, steps)), [steps]);
  const shape = JSON.stringify([ids, edges.map((edge) => edge.id)]);
  // The layout follows the shape, not every key that is typed.
  const arranged = useMemo(() => places(ids, edges), [shape]);
  const [nodes, setNodes, onNodesChange] = useNodesState<StepNode>([]);
  useEffect(() => {
    setNodes((standing) =>
      steps.map((step) => {
        const id = idOf(step, steps);
        const before = standing.find((node) => node.id === id);
        const position = (before?.dragging ? before.position : put[id]) ?? arranged.get(id) ?? { x: 0, y: 0 };
        return { ...before, ...view(step, id, model, world, problems), position, selected: chosen?.index === step.index };
      }),
    );
  }, [model, world, problems, chosen?.index, arranged, put, setNodes]);

  // The whole is in sight at first, and when steps were added or taken away.
  const count = useRef(0);
  useEffect(() => {
    if (nodes.length === count.current) return;
    count.current = nodes.length;
    const timer = setTimeout(() => void flow.fitView({ ...FIT, duration: still ? 0 : 200 }), 30);
    return () => clearTimeout(timer);
  }, [nodes.length, flow, still]);

  const stepAt = (id: string) => steps.find((step) => idOf(step, steps) === id);
  const changed = (changes: NodeChange<StepNode>[]) => {
    onNodesChange(changes);
    for (const change of changes) {
      if (change.type === "position" && change.position && change.dragging === false) setPut((now) => ({ ...now, [change.id]: change.position! }));
    }
    const selects = changes.filter((change) => change.type === "select");
    const next = selects.find((change) => change.selected);
    if (next) onChoose(stepAt(next.id)?.name);
    else if (selects.some((change) => idOf_(chosen, steps) === change.id)) onChoose(undefined);
  };
  const join = ({ source, target, sourceHandle }: Joined) => {
    const [from, to] = [stepAt(source), stepAt(target)];
    if (!from?.name || !to) return;
    onEdit((text) => {
      if (sourceHandle === "order") return setAfter(text, to, [...new Set([...to.after, from.name])]);
      // A connector takes the rows of one step.
      return setInput(text, to, to.transform === undefined ? [from.name] : [...new Set([...to.input, from.name])]);
    });
  };
  const remove = (goneSteps: string[], goneEdges: Edge[]) => {
    const names = goneSteps.map((id) => stepAt(id)?.name);
    onEdit((text) => {
      let next = text;
      for (const edge of goneEdges) {
        const now = read(next).steps;
        const [from, to] = [stepAt(edge.source), now.find((step) => step.name === stepAt(edge.target)?.name)];
        if (!from || !to) continue;
        const without = (all: string[]) => all.filter((name) => name !== from.name);
        next = edge.sourceHandle === "order" ? setAfter(next, to, without(to.after)) : setInput(next, to, without(to.input));
      }
      for (const name of names) {
        const gone = read(next).steps.find((step) => step.name === name);
        if (gone) next = removeStep(next, gone);
      }
      return next;
    });
    if (chosen && names.includes(chosen.name)) onChoose(undefined);
  };
  return (
    <div
      className="graph"
      role="group"
      aria-label="Steps of the task"
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes(DRAGGED)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "copy";
      }}
      onDrop={(event) => {
        const piece = pieces.find((one) => one.id === event.dataTransfer.getData(DRAGGED));
        if (!piece) return;
        event.preventDefault();
        const at = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
        const name = onAdd(piece);
        setPut((now) => ({ ...now, [name]: { x: at.x - NODE.width / 2, y: at.y - NODE.height / 2 } }));
      }}
    >
      <ReactFlow<StepNode>
        colorMode={scheme}
        nodes={nodes}
        edges={edges.map(drawn)}
        nodeTypes={TYPES}
        onNodesChange={changed}
        onConnect={join}
        isValidConnection={({ source, target, sourceHandle, targetHandle }) => source !== target && sourceHandle === targetHandle}
        onBeforeDelete={({ nodes: goneNodes, edges: goneEdges }) => {
          const ids = goneNodes.map((node) => node.id);
          remove(ids, goneEdges.filter((edge) => !ids.includes(edge.source) && !ids.includes(edge.target)));
          return Promise.resolve(false);
        }}
        deleteKeyCode={["Delete", "Backspace"]}
        multiSelectionKeyCode={null}
        selectionKeyCode={null}
        connectionRadius={28}
        minZoom={0.2}
        maxZoom={1.5}
        fitView
        fitViewOptions={FIT}
        ariaLabelConfig={{ "node.a11yDescription.default": "Press enter to choose the step, delete to remove it." }}
      >
        <Background gap={18} />
        {steps.length === 0 && (
          <Panel position="top-center" className="graph-empty">
            <Text size="sm">A task moves rows through its steps.</Text>
            <Text size="sm" c="dimmed">
              Drag in a step that reads, then one that writes, or click them.
            </Text>
          </Panel>
        )}
        <Controls showInteractive={false} position="bottom-left" />
        <Panel position="top-right">
          <Group gap={4}>
            <Button size="compact-xs" variant="default" leftSection={<IconArrowBackUp size={14} />} onClick={onUndo}>
              Undo
            </Button>
            <Button size="compact-xs" variant="default" leftSection={<IconArrowForwardUp size={14} />} onClick={onRedo}>
              Redo
            </Button>
            <Button size="compact-xs" variant="default" leftSection={<IconLayoutDistributeHorizontal size={14} />} onClick={() => setPut({})}>
              Arrange
            </Button>
          </Group>
        </Panel>
      </ReactFlow>
    </div>
  );
}

const idOf_ = (step: Step | undefined, steps: Step[]) => (step ? idOf(step, steps) : undefined);

function view(step: Step, id: string, model: Model, world: World, problems: FieldProblem[]): StepNode {
  const kind = kindOf(step, world);
  const wrong = problems.filter((problem) => `${place(problem)}/`.startsWith(`/steps/${step.index}/`));
  return {
    id,
    type: "step",
    position: { x: 0, y: 0 },
    width: NODE.width,
    height: NODE.height,
    ariaLabel: [`Step ${step.name}`, does(step, kind, world), wrong.length > 0 ? "with problems" : ""].filter(Boolean).join(", "),
    data: {
      name: step.name,
      kind,
      does: does(step, kind, world),
      agent: [agentOf(step, model.steps, world), throughOf(step, world)].filter(Boolean).join(" via ") || undefined,
      active: step.active,
      problems: wrong.map((problem) => problem.message),
      takesRows: kind !== "task",
      givesRows: gives(step),
    },
  };
}

/** What a step does, in a few words. */
function does(step: Step, kind: string, { connectors }: World): string {
  if (kind === "transform") return "SQL transform";
  if (kind === "task") return step.task ? `Starts ${step.task}` : "Starts a task";
  const what = step.connection ?? connectors.find((one) => one.kind === kind)?.title ?? kind;
  if (!what) return "Connector not chosen";
  return step.takes ? `Writes to ${what}` : `Reads from ${what}`;
}

function drawn({ id, from, to, kind }: { id: string; from: string; to: string; kind: "rows" | "order" }): Edge {
  return {
    id,
    source: from,
    target: to,
    sourceHandle: kind,
    targetHandle: kind,
    ariaLabel: kind === "rows" ? `Rows from ${from} to ${to}` : `${to} starts after ${from}`,
    className: `edge-${kind}`,
    markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16 },
    ...(kind === "order" ? { style: { strokeDasharray: "5 4" } } : {}),
  };
}

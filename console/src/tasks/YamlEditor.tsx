// A text editor for task documents. It holds the text: what forms and the graph change goes through it, so that undo knows
// every change.

import { defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory, redo, undo } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, type DecorationSet } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useImperativeHandle, useRef, type Ref } from "react";

export interface Handle {
  text: () => string;
  /** Puts another text in the place of the present one, where the two differ. */
  replace: (next: string) => void;
  undo: () => void;
  redo: () => void;
  /** Shows a place and puts the cursor there. */
  reveal: (at: number) => void;
}

/** Something that is wrong at a place, counted in characters. */
export interface Mark {
  from: number;
  message: string;
}

interface Props {
  label: string;
  /** The document at first. */
  initial: string;
  marks: Mark[];
  onChange: (text: string) => void;
  onSave: () => void;
  handle: Ref<Handle>;
}

const colors = HighlightStyle.define([
  { tag: tags.definition(tags.propertyName), color: "light-dark(#0b5c6b, #66d9e8)" },
  { tag: [tags.string, tags.special(tags.string)], color: "light-dark(#2b6a30, #a9e34b)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "light-dark(#8a3d00, #ffc078)" },
  { tag: tags.comment, color: "light-dark(#5c636a, #a6a7ab)", fontStyle: "italic" },
]);

const look = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "light-dark(#fff, var(--mantine-color-dark-8))", height: "100%" },
  "&.cm-focused": { outline: "2px solid var(--mantine-primary-color-filled)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", overflow: "auto", lineHeight: "1.5" },
  ".cm-content": { caretColor: "light-dark(#000, #fff)" },
  ".cm-cursor": { borderLeftColor: "light-dark(#000, #fff)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "light-dark(#5c636a, #a6a7ab)", border: "none" },
  ".cm-activeLine": { backgroundColor: "light-dark(#0b728510, #66d9e812)" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { backgroundColor: "light-dark(#99e9f2, #0b5c6b) !important" },
  ".cm-wrong": { boxShadow: "inset 3px 0 light-dark(#b3192a, #ffa8a8)", backgroundColor: "light-dark(#b3192a0f, #ffa8a81a)" },
});

const setMarks = StateEffect.define<Mark[]>();

const marked = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(standing, change) {
    let next = standing.map(change.changes);
    for (const effect of change.effects) {
      if (!effect.is(setMarks)) continue;
      const lines = new Map<number, string>();
      for (const { from, message } of effect.value) {
        const line = change.state.doc.lineAt(Math.min(from, change.state.doc.length)).from;
        lines.set(line, [lines.get(line), message].filter(Boolean).join("\n"));
      }
      const wrong = [...lines].sort(([a], [b]) => a - b).map(([at, title]) => Decoration.line({ class: "cm-wrong", attributes: { title } }).range(at));
      next = Decoration.set(wrong);
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export function YamlEditor({ label, initial, marks, onChange, onSave, handle }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const first = useRef(initial);
  const now = useRef({ onChange, onSave });
  useEffect(() => {
    now.current = { onChange, onSave };
  });
  useEffect(() => {
    if (!place.current) return;
    const save = () => {
      now.current.onSave();
      return true;
    };
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: first.current,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          indentUnit.of("  "),
          yaml(),
          syntaxHighlighting(colors),
          look,
          marked,
          // Tab leaves the editor once Escape was pressed.
          keymap.of([{ key: "Mod-s", run: save, preventDefault: true }, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            first.current = update.state.doc.toString();
            now.current.onChange(first.current);
          }),
        ],
      }),
    });
    view.current = made;
    return () => {
      view.current = null;
      made.destroy();
    };
  }, [label]);
  useEffect(() => view.current?.dispatch({ effects: setMarks.of(marks) }), [marks]);
  useImperativeHandle(handle, () => ({
    text: () => view.current?.state.doc.toString() ?? first.current,
    replace: (next) => {
      const standing = view.current?.state.doc.toString() ?? "";
      if (next !== standing) view.current?.dispatch({ changes: difference(standing, next), annotations: isolateHistory.of("full") });
    },
    undo: () => view.current && void undo(view.current),
    redo: () => view.current && void redo(view.current),
    reveal: (at) => {
      const editor = view.current;
      if (!editor) return;
      editor.dispatch({ selection: { anchor: Math.min(at, editor.state.doc.length) }, effects: EditorView.scrollIntoView(Math.min(at, editor.state.doc.length), { y: "center" }) });
    },
  }));
  return <div ref={place} className="yaml" />;
}

/** The smallest stretch in which two texts differ. */
function difference(old: string, next: string): { from: number; to: number; insert: string } {
  let head = 0;
  while (head < old.length && head < next.length && old[head] === next[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < next.length - head && old[old.length - 1 - tail] === next[next.length - 1 - tail]) tail += 1;
  return { from: head, to: old.length - tail, insert: next.slice(head, next.length - tail) };
}

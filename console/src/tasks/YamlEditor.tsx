// A text editor for task documents.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";

interface Props {
  label: string;
  /** The document at first; a new one needs a new `key`. */
  initial: string;
  onChange: (text: string) => void;
  onSave: () => void;
}

const colors = HighlightStyle.define([
  { tag: tags.definition(tags.propertyName), color: "light-dark(#0b5c6b, #66d9e8)" },
  { tag: [tags.string, tags.special(tags.string)], color: "light-dark(#2b6a30, #a9e34b)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "light-dark(#8a3d00, #ffc078)" },
  { tag: tags.comment, color: "light-dark(#5c636a, #909296)", fontStyle: "italic" },
]);

const look = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "light-dark(#fff, var(--mantine-color-dark-8))", minHeight: "16rem", maxHeight: "65dvh" },
  "&.cm-focused": { outline: "2px solid var(--mantine-primary-color-filled)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "light-dark(#000, #fff)" },
  ".cm-cursor": { borderLeftColor: "light-dark(#000, #fff)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "light-dark(#5c636a, #909296)", border: "none" },
  ".cm-activeLine": { backgroundColor: "light-dark(#0b728510, #66d9e812)" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { backgroundColor: "light-dark(#99e9f2, #0b5c6b) !important" },
});

export function YamlEditor({ label, initial, onChange, onSave }: Props) {
  const place = useRef<HTMLDivElement>(null);
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
    const view = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: initial,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          indentUnit.of("  "),
          yaml(),
          syntaxHighlighting(colors),
          look,
          // Tab leaves the editor once Escape was pressed.
          keymap.of([{ key: "Mod-s", run: save, preventDefault: true }, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) now.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    return () => view.destroy();
  }, [initial, label]);
  return <div ref={place} />;
}

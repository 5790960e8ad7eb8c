// What is written and not saved is not lost by a wrong click, nor by a login that ends.

import { useBlocker } from "@tanstack/react-router";
import { useEffect, useRef } from "react";

let written = 0;

/** Whether something in sight is written and not saved. */
export const isUnsaved = () => written > 0;

/** Asks before the page is left. The result is set when it was saved just now and the page may be left at once. */
export function useUnsaved(unsaved: boolean) {
  const saved = useRef(false);
  useEffect(() => {
    if (!unsaved) return;
    written += 1;
    return () => {
      written -= 1;
    };
  }, [unsaved]);
  useBlocker({
    shouldBlockFn: ({ current, next }) => unsaved && !saved.current && current.pathname !== next.pathname && !window.confirm("Leave without saving what you have written?"),
    enableBeforeUnload: unsaved,
  });
  return saved;
}

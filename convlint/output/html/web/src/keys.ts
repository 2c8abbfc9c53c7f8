// The keyboard: the tree pattern of ARIA inside the picture, and a letter for each thing that a button does, anywhere.

import type { Item } from "./data";
import type { View } from "./view";

/** The keys of the picture alone; every other key of ``actions`` works wherever the focus is. */
const MOVES = new Set(["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "Home", "End", "Enter", " "]);
const WRITING = "input:not([type=checkbox]), select, textarea, [contenteditable]";

export function listenToKeys(view: () => View | undefined): void {
  document.addEventListener("keydown", (event) => {
    const shown = view();
    if (!shown || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.matches(WRITING) && event.key !== "Escape") return;
    if (MOVES.has(event.key) && !moves(shown, target)) return;
    const act = actions(shown)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/** Whether arrows are for the picture: inside it, and before anything has the focus if they cannot scroll the page. */
function moves(view: View, target: Element): boolean {
  if (view.picture.stage.contains(target)) return true;
  const { scrollHeight, clientHeight } = document.documentElement;
  return target === document.body && view.mode === "picture" && scrollHeight <= clientHeight;
}

function actions(view: View): Record<string, () => void> {
  const { picture } = view;
  const item = picture.chosen;
  const go = (to: Item | null | undefined) => to?.parent && view.reveal(to);
  const step = (by: number) => {
    const all = picture.readable();
    go(item ? all[all.indexOf(item) + by] : all[0]);
  };
  const next = (of: (each: Item) => number, by: number) => {
    const marked = picture.model.nodes.filter((node) => of(node) > 0);
    const at = item ? marked.findIndex((node) => node === item) : -1;
    go(marked[(at + by + marked.length) % Math.max(marked.length, 1)] ?? marked[0]);
  };
  const inwards = () => {
    if (!item) step(1);
    else if (item.box && !item.box.open) picture.toggle(item.box);
    else go(item.box?.children[0]);
  };
  const outwards = () => (item?.box?.open ? picture.toggle(item.box) : go(item?.parent));
  const turn = () => item?.box && picture.toggle(item.box);
  return {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    ArrowRight: inwards,
    ArrowLeft: outwards,
    Home: () => go(picture.readable()[0]),
    End: () => go(picture.readable().at(-1)),
    Enter: () => void turn(),
    " ": () => void turn(),
    Escape: () => picture.choose(null, true),
    "/": () => view.focusSearch(),
    t: () => view.turn(),
    f: () => picture.fit(true, true),
    "+": () => picture.scale(1.3),
    "=": () => picture.scale(1.3),
    "-": () => picture.scale(1 / 1.3),
    b: () => next((node) => node.blockers, 1),
    B: () => next((node) => node.blockers, -1),
    e: () => next((node) => node.errors, 1),
    E: () => next((node) => node.errors, -1),
  };
}

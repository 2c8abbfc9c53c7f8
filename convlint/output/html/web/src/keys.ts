// The keyboard inside the picture: the tree pattern of ARIA, and a letter for each thing that a button does.

import type { Item } from "./data";
import type { Picture } from "./picture";

export function listenToKeys(picture: Picture, focusSearch: () => void): void {
  const tree = picture.stage;
  tree.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
    if (event.target instanceof HTMLAnchorElement) return;
    const act = actions(picture, focusSearch)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function actions(picture: Picture, focusSearch: () => void): Record<string, () => void> {
  const item = picture.chosen;
  const go = (to: Item | null | undefined) => to?.parent && picture.reveal(to);
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
    "/": focusSearch,
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

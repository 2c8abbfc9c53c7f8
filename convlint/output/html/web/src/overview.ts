// The time bar: every module as wide as its time (or its ops), one row a level, the outermost on top.

import { type Box, type Item, type Model, weightOf } from "./data";
import { html } from "./dom";
import { shares, tally } from "./words";

const ROWS = 3;
const LEAST = 0.0015;

export function overview(model: Model, place: HTMLElement, reveal: (item: Item) => void): void {
  let top = model.root;
  for (let only = sole(top); only; only = sole(top)) top = only;
  const all = weightOf(top);
  if (!all) return;
  let level: { box: Box; from: number }[] = [{ box: top, from: 0 }];
  const cells: HTMLElement[] = [];
  for (let row = 0; row < ROWS && level.length; row += 1) {
    const strip = html("div", { class: "strip" });
    const next: typeof level = [];
    for (const { box, from } of level) {
      let at = from;
      for (const child of box.children) {
        if (!child.box) {
          at += weightOfNode(model, child) / all;
          continue;
        }
        const width = weightOf(child.box) / all;
        if (width > LEAST) {
          const cell = part(model, child.box, at, width);
          cell.addEventListener("click", () => reveal(child));
          strip.append(cell);
          cells.push(cell);
          next.push({ box: child.box, from: at });
        }
        at += width;
      }
    }
    if (next.length) place.append(strip);
    level = next;
  }
  roam(cells);
}

/** The one child box that has nearly everything in it, so that its own row would say nothing. */
function sole(box: Box): Box | null {
  const boxes = box.children.flatMap((child) => (child.box ? [child.box] : []));
  const main = boxes.find((each) => weightOf(each) > 0.97 * weightOf(box));
  return main && main.children.some((child) => child.box) ? main : null;
}

function weightOfNode(model: Model, item: Item): number {
  if (item.node?.kind !== "op") return 0;
  return model.timed ? item.node.mid : 1;
}

function part(model: Model, box: Box, from: number, width: number): HTMLElement {
  const title = [box.path, tally(model, box), shares(model, box)].filter(Boolean).join(" · ");
  const cell = html("button", { type: "button", class: "cell", title, "aria-label": title, tabindex: -1 });
  cell.append(html("span", {}, box.label));
  cell.style.left = `${from * 100}%`;
  cell.style.width = `${width * 100}%`;
  cell.style.setProperty("--parts", bands(model, box));
  return cell;
}

/** The shares of the units side by side, as a gradient with hard edges. */
function bands(model: Model, box: Box): string {
  const all = weightOf(box);
  let at = 0;
  const stops = box.weights.flatMap((weight, number) => {
    if (!weight) return [];
    const colour = `var(--unit-${model.units[number] ?? "none"})`;
    const from = at;
    at += (weight / all) * 100;
    return [`${colour} ${from}% ${at}%`];
  });
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}

/** One stop for the tabulator key, and the arrows from there on. */
function roam(cells: HTMLElement[]): void {
  cells[0]?.setAttribute("tabindex", "0");
  for (const [number, cell] of cells.entries()) {
    cell.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const other = step && cells[number + step];
      if (!other) return;
      event.preventDefault();
      cell.setAttribute("tabindex", "-1");
      other.setAttribute("tabindex", "0");
      other.focus();
    });
  }
}

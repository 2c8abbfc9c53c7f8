// Wires a page: a view for each model that is shown, permalinks, the links of findings, the theme, and paper.

import type { Item } from "./data";
import { addCopying } from "./copying";
import { button } from "./dom";
import { listenToKeys } from "./keys";
import { View } from "./view";

const views = new Map<string, View>();

/** The section that was last used of those that are shown, else the first. */
let used: HTMLElement | null = null;

function shown(): HTMLElement | null {
  return used && !used.hidden ? used : document.querySelector<HTMLElement>("section.model:not([hidden])");
}

function build(section: HTMLElement): void {
  const data = section.querySelector<HTMLScriptElement>("script[type='application/json']");
  const stage = section.querySelector<HTMLElement>(".stage");
  if (!data || !stage || views.has(section.id)) return;
  views.set(section.id, new View(section, data.textContent ?? "", stage));
}

/** Show one model, and the other one beside it that was asked for. */
function show(id: string): void {
  const beside = document.querySelector<HTMLSelectElement>("#beside");
  const other = beside && beside.value !== id ? beside.value : "";
  if (beside) beside.value = other;
  document.body.classList.toggle("two", other !== "");
  for (const section of document.querySelectorAll<HTMLElement>("section.model")) {
    section.hidden = section.id !== id && section.id !== other;
    section.style.order = section.id === other ? "1" : "0";
  }
  for (const each of [id, other]) {
    const section = each && document.getElementById(each);
    if (section) build(section);
  }
  for (const view of views.values()) if (!view.section.hidden) view.resize();
  const choice = document.querySelector<HTMLSelectElement>("select.models");
  if (choice) choice.value = id;
  used = document.getElementById(id);
}

function reveal(section: string, item: Item | undefined): void {
  const view = views.get(section);
  if (!view || !item) return;
  view.picture.stage.parentElement!.scrollIntoView({ block: "nearest" });
  view.reveal(item);
}

/** Go where a permalink leads: ``#op-17``, ``#m1-op-17`` of another model, ``#CL327``. Whether it leads anywhere. */
function follow(hash: string): boolean {
  const op = /^#(?:(m\d+)-)?op-(\d+)$/.exec(hash);
  if (op) {
    const id = op[1] ?? "m0";
    if (!document.getElementById(id)?.matches("section.model")) return false;
    if (document.getElementById(id)!.hidden) show(id);
    reveal(id, views.get(id)?.model.nodes[Number(op[2])]);
    return true;
  }
  const target = hash.length > 1 ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
  const section = target?.closest<HTMLElement>("section.model");
  if (!target || !section) return false;
  if (section.hidden) show(section.id);
  for (let fold = target.closest("details"); fold; fold = fold.parentElement?.closest("details") ?? null) fold.open = true;
  target.scrollIntoView({ block: "start" });
  target.focus({ preventScroll: true });
  return true;
}

function links(): void {
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[href^='#']") : null;
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const box = link.dataset["show"];
    if (box) {
      event.preventDefault();
      const id = link.closest("section.model")?.id ?? "";
      const model = views.get(id)?.model;
      reveal(id, box.startsWith("b") ? model?.boxes[Number(box.slice(1))] : model?.nodes[Number(box.slice(1))]);
    } else if (/op-\d+$/.test(link.hash) && follow(link.hash)) {
      event.preventDefault();
    }
  });
  addEventListener("hashchange", () => follow(location.hash));
}

function theme(): void {
  const place = document.querySelector(".themes");
  const dark = () => {
    const set = document.documentElement.style.colorScheme;
    return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  place?.append(
    button("◐", "Light or dark", () => {
      document.documentElement.style.colorScheme = dark() ? "light" : "dark";
    }),
  );
}

function paper(): void {
  let undo: (() => void)[] = [];
  addEventListener("beforeprint", () => {
    for (const [id, view] of views) if (!document.getElementById(id)?.hidden) undo.push(view.picture.whole());
  });
  addEventListener("afterprint", () => {
    for (const each of undo) each();
    undo = [];
  });
}

function start(): void {
  theme();
  paper();
  links();
  addCopying(document);
  listenToKeys(() => views.get(shown()?.id ?? ""));
  const choice = document.querySelector<HTMLSelectElement>("select.models");
  choice?.addEventListener("change", () => show(choice.value));
  document.querySelector("#beside")?.addEventListener("change", () => show(choice!.value));
  for (const kind of ["pointerdown", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const section = event.target instanceof Element ? event.target.closest<HTMLElement>("section.model") : null;
      if (section) used = section;
    });
  }
  const first = document.querySelector<HTMLElement>("section.model");
  if (first) show(first.id);
  follow(location.hash);
  requestAnimationFrame(() =>
    requestAnimationFrame(() => (document.documentElement.dataset["painted"] = String(Math.round(performance.now())))),
  );
}

start();

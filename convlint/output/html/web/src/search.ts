// Finding a module or an op by any part of its name, path, type, PyTorch op or line.

import type { Item, Model } from "./data";
import { html } from "./dom";

const MOST = 40;

interface Entry {
  item: Item;
  label: string;
  text: string;
}

export function search(model: Model, place: HTMLElement, reveal: (item: Item) => void): HTMLInputElement {
  const entries: Entry[] = [...model.boxes.slice(1), ...model.nodes].map((item) => ({
    item,
    label: item.label.toLowerCase(),
    text: [item.path, item.label, item.box?.type, item.node?.op, item.node?.name, item.node?.site].join("\n").toLowerCase(),
  }));
  const id = `${place.id}-found`;
  const input = html("input", {
    type: "search", placeholder: "Find a module or an op  ( / )", "aria-label": "Find a module or an op", role: "combobox",
    "aria-expanded": "false", "aria-controls": id, "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
  }) as HTMLInputElement;
  const list = html("ul", { id, role: "listbox", "aria-label": "What was found", hidden: true });
  let found: Item[] = [];
  let at = 0;

  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const take = (item: Item | undefined) => {
    if (!item) return;
    close();
    reveal(item);
  };
  const point = (to: number) => {
    const options = [...list.querySelectorAll<HTMLElement>("[role=option]:not(.none)")];
    at = (to + options.length) % Math.max(options.length, 1);
    for (const [number, option] of options.entries()) option.setAttribute("aria-selected", String(number === at));
    options[at]?.scrollIntoView({ block: "nearest" });
    const chosen = options[at];
    if (chosen) input.setAttribute("aria-activedescendant", chosen.id);
  };
  const look = () => {
    const words = input.value.toLowerCase().trim();
    const hits = words ? ranked(entries, words) : [];
    found = hits.slice(0, MOST);
    list.replaceChildren(...found.map((item, number) => option(item, `${id}-${number}`, () => take(item))));
    if (words && !found.length) list.append(html("li", { class: "none", role: "option", "aria-disabled": "true" }, "Nothing has this in its name."));
    if (hits.length > MOST) list.append(html("li", { class: "none", role: "option", "aria-disabled": "true" }, `and ${(hits.length - MOST).toLocaleString("en")} more`));
    list.hidden = !words;
    input.setAttribute("aria-expanded", String(!list.hidden));
    point(0);
  };
  input.addEventListener("input", look);
  input.addEventListener("focus", () => input.value && look());
  input.addEventListener("blur", () => setTimeout(() => document.activeElement !== input && close(), 150));
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") point(at + 1);
    else if (event.key === "ArrowUp") point(at - 1);
    else if (event.key === "Enter") take(found[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  place.append(input, list);
  return input;
}

/** The name itself first, then what begins with the words, then modules, then the rest. */
function ranked(entries: Entry[], words: string): Item[] {
  const rank = ({ item, label }: Entry) => {
    if (label === words || item.path.toLowerCase() === words) return item.box ? 0 : 1;
    if (label.startsWith(words)) return item.box ? 2 : 3;
    return item.box && item.path.toLowerCase().includes(words) ? 4 : 5;
  };
  return entries
    .filter(({ text }) => text.includes(words))
    .map((entry) => ({ entry, rank: rank(entry) }))
    .sort((a, b) => a.rank - b.rank || a.entry.item.depth - b.entry.item.depth)
    .map(({ entry }) => entry.item);
}

function option(item: Item, id: string, take: () => void): HTMLElement {
  const what = item.box ? item.box.type || "module" : item.node!.op || item.node!.kind;
  const made = html(
    "li", { id, role: "option", "aria-selected": "false" },
    html("strong", {}, item.label), html("span", {}, what), html("small", {}, item.path),
  );
  made.addEventListener("pointerdown", (event) => event.preventDefault());
  made.addEventListener("click", take);
  return made;
}

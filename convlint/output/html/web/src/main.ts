// Wires a page: a picture for each model that is shown, the links of its findings, the theme, and paper.

import { type Item, type Payload, readModel } from "./data";
import { button } from "./dom";
import { listenToKeys } from "./keys";
import { overview } from "./overview";
import { Picture } from "./picture";
import { search } from "./search";

const pictures = new Map<string, Picture>();

function build(section: HTMLElement): void {
  const data = section.querySelector<HTMLScriptElement>("script[type='application/json']");
  const stage = section.querySelector<HTMLElement>(".stage");
  if (!data || !stage || pictures.has(section.id)) return;
  const model = readModel(JSON.parse(data.textContent ?? "") as Payload);
  const picture = new Picture(model, stage, `The model ${section.dataset["model"] ?? ""} as a picture`);
  pictures.set(section.id, picture);
  const reveal = (item: Item) => picture.reveal(item);
  const input = search(model, section.querySelector<HTMLElement>(".search")!, reveal);
  overview(model, section.querySelector<HTMLElement>(".overview")!, reveal);
  listenToKeys(picture, () => input.focus());
  section.querySelector(".tools")!.append(
    button("+", "Zoom in  ( + )", () => picture.scale(1.3)),
    button("−", "Zoom out  ( − )", () => picture.scale(1 / 1.3)),
    button("Fit", "Show all of it  ( f )", () => picture.fit(true, true)),
    button("Open all", "Open every module", () => picture.setAll(true)),
    button("Close all", "Close every module", () => picture.setAll(false)),
  );
  for (const link of section.querySelectorAll<HTMLAnchorElement>("a[data-show]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const kind = link.dataset["show"]!;
      const item = kind.startsWith("b") ? model.boxes[Number(kind.slice(1))] : model.nodes[Number(kind.slice(1))];
      if (!item) return;
      stage.scrollIntoView({ block: "nearest" });
      reveal(item);
    });
  }
}

function show(id: string): void {
  for (const section of document.querySelectorAll<HTMLElement>("section.model")) {
    section.hidden = section.id !== id;
    if (!section.hidden) build(section);
  }
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
    for (const closed of document.querySelectorAll<HTMLDetailsElement>("details:not([open])")) {
      closed.open = true;
      undo.push(() => (closed.open = false));
    }
    for (const [id, picture] of pictures) if (!document.getElementById(id)?.hidden) undo.push(picture.whole());
  });
  addEventListener("afterprint", () => {
    for (const each of undo) each();
    undo = [];
  });
}

function start(): void {
  theme();
  paper();
  const choice = document.querySelector<HTMLSelectElement>("select.models");
  choice?.addEventListener("change", () => show(choice.value));
  const first = document.querySelector<HTMLElement>("section.model");
  if (first) show(first.id);
  requestAnimationFrame(() =>
    requestAnimationFrame(() => (document.documentElement.dataset["painted"] = String(Math.round(performance.now())))),
  );
}

start();

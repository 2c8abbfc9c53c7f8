// The ops as a table: sorted by any column, filtered by text, unit and findings. Rows are made as they come in sight.

import type { Model, Node } from "./data";
import { html } from "./dom";
import { address, counted, milliseconds } from "./words";

const CHUNK = 150;

interface Column {
  name: string;
  title: string;
  /** What it is sorted by; numbers come with the largest first. */
  key: (node: Node) => string | number;
  cell: (node: Node) => (Element | string)[];
}

const order = new Intl.Collator("en", { numeric: true });

export class Table {
  private readonly columns: Column[];
  private readonly body = html("tbody");
  private readonly count = html("p", { class: "quiet", role: "status" });
  private readonly words: HTMLInputElement;
  private readonly unit: HTMLSelectElement;
  private readonly found: HTMLInputElement;
  private readonly scroller = html("div", { class: "rows", tabindex: 0, role: "region", "aria-label": "Table of ops" });
  private readonly texts = new Map<Node, string>();
  private readonly ops: Node[];
  private shown: Node[] = [];
  private made = 0;
  private by: Column;
  private down = false;

  constructor(private readonly model: Model, readonly place: HTMLElement, prefix: string, choose: (node: Node) => void) {
    this.ops = model.nodes.filter((node) => node.kind === "op");
    this.columns = columns(model, prefix);
    this.by = this.columns[0]!;
    this.words = html("input", {
      type: "search", placeholder: "Filter by op, module, line, shape or cause  ( / )", "aria-label": "Filter the ops", autocomplete: "off", spellcheck: "false",
    }) as HTMLInputElement;
    this.unit = html("select", { "aria-label": "Unit" }) as HTMLSelectElement;
    for (const [value, text] of [["", "every unit"], ...model.units.map((unit) => [unit, unit])] as [string, string][]) this.unit.append(html("option", { value }, text));
    this.found = html("input", { type: "checkbox" }) as HTMLInputElement;
    for (const field of [this.words, this.unit, this.found]) field.addEventListener("input", () => this.refresh());
    const filters = html("div", { class: "filters" }, this.words, model.units.length > 0 && this.unit, html("label", {}, this.found, "only with findings"), this.count);
    const more = html("div", { class: "more" });
    this.scroller.append(html("table", {}, html("thead", {}, this.head()), this.body), more);
    place.append(filters, this.scroller);
    new IntersectionObserver(() => this.add(), { root: this.scroller, rootMargin: "600px" }).observe(more);
    this.body.addEventListener("click", (event) => {
      const target = event.target instanceof Element ? event.target : null;
      const row = target?.closest(".badge") ? null : target?.closest<HTMLElement>("tr");
      const node = row && model.nodes[Number(row.dataset["node"])];
      if (!node || getSelection()?.toString()) return;
      event.preventDefault();
      event.stopPropagation();
      choose(node);
    });
    this.refresh();
  }

  focus(): void {
    this.words.focus();
  }

  /** Point at an op, and bring its row into sight. Filters that hide it are taken away. */
  point(node: Node | null): void {
    for (const row of this.body.querySelectorAll(".chosen")) row.classList.remove("chosen");
    if (!node || node.kind !== "op") return;
    if (!this.shown.includes(node)) {
      this.words.value = this.unit.value = "";
      this.found.checked = false;
      this.refresh();
    }
    const at = this.shown.indexOf(node);
    while (this.made <= at) this.add();
    const row = this.body.children[at];
    row?.classList.add("chosen");
    row?.scrollIntoView({ block: "nearest" });
  }

  private head(): HTMLElement {
    const row = html("tr");
    for (const column of this.columns) {
      const turn = html("button", { type: "button", title: `Sort by ${column.title}` }, column.name);
      const cell = html("th", { scope: "col", class: column.name === "ms" || column.name === "#" ? "number" : undefined }, turn);
      turn.addEventListener("click", () => {
        this.down = this.by === column ? !this.down : column.name === "ms";
        this.by = column;
        this.refresh();
      });
      row.append(cell);
    }
    return row;
  }

  private refresh(): void {
    const words = this.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const unit = this.model.units.indexOf(this.unit.value);
    this.shown = this.ops.filter(
      (node) =>
        (unit < 0 || node.unit === unit) &&
        (!this.found.checked || node.findings.length > 0) &&
        (!words.length || words.every((word) => this.text(node).includes(word))),
    );
    const { key } = this.by;
    const sign = this.down ? -1 : 1;
    this.shown.sort((a, b) => {
      const [left, right] = [key(a), key(b)];
      const way = typeof left === "number" ? left - (right as number) : order.compare(left, String(right));
      return sign * way || a.number - b.number;
    });
    for (const [at, cell] of [...this.place.querySelectorAll("th")].entries()) {
      if (this.columns[at] === this.by) cell.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    const time = this.shown.reduce((sum, node) => sum + node.mid, 0);
    const many = this.shown.length === this.ops.length ? counted(this.ops.length, "op") : `${this.shown.length.toLocaleString("en")} of ${counted(this.ops.length, "op")}`;
    this.count.textContent = this.model.timed ? `${many}, ${milliseconds(time)}` : many;
    this.body.replaceChildren();
    this.made = 0;
    this.add();
    this.scroller.scrollTop = 0;
  }

  private add(): void {
    const rows = this.shown.slice(this.made, this.made + CHUNK);
    this.body.append(...rows.map((node) => this.row(node)));
    this.made += rows.length;
  }

  private row(node: Node): HTMLElement {
    const row = html("tr", { "data-node": node.number });
    for (const column of this.columns) {
      const numeric = column.name === "ms" || column.name === "#";
      const cell = html("td", { class: numeric ? "number" : `of-${column.name}` }, ...column.cell(node));
      row.append(cell);
    }
    return row;
  }

  private text(node: Node): string {
    let text = this.texts.get(node);
    if (text === undefined) {
      text = [node.label, node.op, node.name, node.path, node.site, node.shape, node.cause, node.reason].join("\n").toLowerCase();
      this.texts.set(node, text);
    }
    return text;
  }
}

function columns(model: Model, prefix: string): Column[] {
  const marks = (node: Node) => {
    const all = node.findings.map((number) => model.findings[number]!);
    const worst = all.find(({ severity }) => severity === "error") ?? all.find(({ severity }) => severity === "warning") ?? all[0];
    return worst ? [html("a", { href: `#${worst.id}`, class: `badge ${worst.severity}`, title: worst.title }, worst.title.split(" ")[0]!)] : [];
  };
  const always: Column[] = [
    { name: "#", title: "place in the program", key: (node) => node.number, cell: (node) => [html("a", { href: address(prefix, node) }, String(node.number))] },
    { name: "op", title: "op", key: (node) => node.label, cell: (node) => [node.label, ...marks(node)] },
    { name: "module", title: "module", key: (node) => node.path, cell: (node) => [node.path] },
    { name: "line", title: "line", key: (node) => node.site, cell: (node) => [node.site] },
    { name: "shape", title: "shape", key: (node) => node.shape, cell: (node) => [node.shape] },
  ];
  if (!model.units.length) return always;
  const unit = (node: Node) => model.units[node.unit] ?? "";
  return [
    ...always,
    { name: "unit", title: "unit", key: unit, cell: (node) => (unit(node) ? [html("i", { class: `key unit-${unit(node)}` }), unit(node)] : []) },
    { name: "cause", title: "cause", key: (node) => node.cause, cell: (node) => [node.unit < 0 && node.cause ? html("span", { title: node.cause }, "folded") : node.cause] },
    { name: "ms", title: "time", key: (node) => node.mid, cell: (node) => [node.unit < 0 ? "" : node.mid > 0 && node.mid < 0.0005 ? "<0.001" : node.mid.toFixed(3)] },
  ];
}

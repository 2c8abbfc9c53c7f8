// The scene as SVG. Only what is in sight is in the document, so that an open model of thousands of ops pans smoothly.

import { curveBasis, line } from "d3-shape";
import { type Box, type Item, type Model, type Node, weightOf } from "./data";
import { svg } from "./dom";
import { type Placed, type Point, type Rect, type Route, type Scene, short, textWidth } from "./layout";
import { counted, milliseconds, spoken, tally } from "./words";

const CROWD = 500;
const trace = line<Point>((point) => point.x, (point) => point.y).curve(curveBasis);

export class Drawing {
  readonly root = svg("g");
  private readonly frames = svg("g", { class: "frames" });
  private readonly routes = svg("g", { class: "routes" });
  private readonly leaves = svg("g", { class: "leaves" });
  private readonly labels = svg("g", { class: "labels" });
  private shown = new Map<string, SVGElement>();
  private scene: Scene | null = null;

  constructor(private readonly model: Model) {
    this.root.append(this.frames, this.routes, this.leaves, this.labels);
  }

  /** Draw a new scene; nothing of the last one is kept. */
  set(scene: Scene): void {
    for (const layer of [this.frames, this.routes, this.leaves, this.labels]) layer.replaceChildren();
    this.shown.clear();
    this.scene = scene;
  }

  element(item: Item): SVGElement | undefined {
    return this.shown.get(item.id);
  }

  /** Put into the document what stands in ``sight``, and take out the rest; everything where it is null. */
  update(sight: Rect | null, keep: Item | null): void {
    const scene = this.scene;
    if (!scene) return;
    const all = sight === null || scene.leaves.length < CROWD;
    const seen = (rect: Rect) => all || meets(rect, sight!);
    const wanted = new Map<string, () => SVGElement>();
    for (const each of scene.frames) if (seen(each)) wanted.set(each.item.id, () => this.add(this.frames, this.frame(each)));
    for (const each of scene.routes) {
      if (!all && !meets(extent(each.points), sight!)) continue;
      wanted.set(each.id, () => this.add(this.routes, this.route(each)));
      if (each.link.crossings) wanted.set(`${each.id} label`, () => this.add(this.labels, this.label(each)));
    }
    for (const each of scene.leaves) {
      if (seen(each) || each.item === keep) wanted.set(each.item.id, () => this.add(this.leaves, this.leaf(each)));
    }
    for (const [id, element] of this.shown) {
      if (wanted.has(id)) continue;
      element.remove();
      this.shown.delete(id);
    }
    for (const [id, make] of wanted) if (!this.shown.has(id)) this.shown.set(id, make());
  }

  private add(layer: SVGElement, element: SVGElement): SVGElement {
    layer.append(element);
    return element;
  }

  private group(placed: Placed, kind: string): SVGElement {
    const { item } = placed;
    return svg("g", {
      class: kind, transform: `translate(${placed.x},${placed.y})`, "data-id": item.id, role: "treeitem", tabindex: -1,
      "aria-level": item.depth, "aria-label": spoken(this.model, item),
      "aria-expanded": item.box ? String(item.box.open) : undefined,
    });
  }

  private frame(placed: Placed): SVGElement {
    const box = placed.item.box!;
    const { width, height } = placed;
    const group = this.group(placed, `frame depth${box.depth % 2}`);
    const name = short(box.label);
    group.append(
      svg("rect", { width, height, rx: 10 }),
      svg("text", { class: "turn", x: 13, y: 21 }, "▾"),
      svg("text", { class: "name", x: 30, y: 21 }, name),
      svg("text", { class: "type", x: 38 + textWidth(name, true), y: 21 }, short(box.type)),
      svg("text", { class: "type", x: width - 12, y: 21, "text-anchor": "end" }, this.aside(box)),
    );
    return group;
  }

  private aside(box: Box): string {
    return this.model.timed ? milliseconds(box.mid) : counted(box.ops, "op");
  }

  private leaf(placed: Placed): SVGElement {
    return placed.item.box ? this.closed(placed, placed.item.box) : this.op(placed, placed.item.node!);
  }

  private closed(placed: Placed, box: Box): SVGElement {
    const { width, height } = placed;
    const group = this.group(placed, "closed");
    const name = short(box.label);
    group.append(
      svg("rect", { class: "body", width, height, rx: 9 }),
      svg("text", { class: "turn", x: 13, y: 22 }, "▸"),
      svg("text", { class: "name", x: 30, y: 22 }, name),
      svg("text", { class: "type", x: 36 + textWidth(name, true), y: 22 }, short(box.type)),
      svg("text", { class: "tally", x: 30, y: 40 }, tally(this.model, box)),
      ...this.bar(box, 10, height - 10, width - 20),
    );
    if (box.crossings) {
      const text = `⇄ ${box.crossings}`;
      group.append(svg("text", { class: "crossings", x: width - 12, y: 40, "text-anchor": "end" }, text));
    }
    this.marks(group, box, width);
    return group;
  }

  private bar(box: Box, x: number, y: number, width: number): SVGElement[] {
    const all = weightOf(box);
    let at = x;
    return box.weights.flatMap((weight, unit) => {
      if (!weight || !all) return [];
      const part = svg("rect", { class: `bar ${this.unit(unit)}`, x: at, y, width: (width * weight) / all, height: 4 });
      at += (width * weight) / all;
      return [part];
    });
  }

  private unit(number: number): string {
    return `unit-${this.model.units[number] ?? "none"}`;
  }

  private op(placed: Placed, node: Node): SVGElement {
    const { width, height } = placed;
    const blocks = node.blockers ? " blocks" : "";
    const bad = node.errors ? " refused" : "";
    const group = this.group(placed, `op ${node.kind} ${this.unit(node.unit)}${blocks}${bad}`);
    const round = node.kind === "op" ? 6 : height / 2;
    const name = short(node.label);
    group.append(svg("rect", { class: "body", width, height, rx: round }));
    if (node.kind !== "op") {
      group.append(
        svg("text", { class: "name", x: 12, y: 17.5 }, name),
        svg("text", { class: "type", x: 20 + textWidth(name, true), y: 17.5 }, node.shape),
      );
      return group;
    }
    group.append(svg("rect", { class: "stripe", width: 5, height, rx: 2.5 }), svg("text", { class: "name", x: 14, y: 18.5 }, name));
    const unit = this.model.units[node.unit];
    if (unit) group.append(svg("text", { class: "unit", x: width - 9, y: 18, "text-anchor": "end" }, unit));
    this.marks(group, node, width);
    return group;
  }

  /** What is wrong, on the upper edge: each kind has its own shape, so that nobody needs to tell colours apart. */
  private marks(group: SVGElement, item: Item, width: number): void {
    let x = width - 12;
    const put = (kind: string, path: string, sign: string, count: number) => {
      if (!count) return;
      const mark = svg("g", { class: `mark ${kind}`, transform: `translate(${x},0)` }, svg("path", { d: path }));
      mark.append(svg("text", { y: 3.5, "text-anchor": "middle" }, sign));
      group.append(mark);
      x -= 20;
      if (!item.box || count < 2) return;
      const number = String(count);
      mark.append(svg("text", { class: "number", x: -11, y: 3.5, "text-anchor": "end" }, number));
      x -= textWidth(number, true, 10) + 4;
    };
    put("error", "M-8,0a8,8 0 1,0 16,0a8,8 0 1,0 -16,0", "×", item.errors);
    put("blocker", "M-3.5,-8.5h7l5,5v7l-5,5h-7l-5,-5v-7z", "!", item.blockers);
    put("warning", "M0,-8.5l8.5,8.5l-8.5,8.5l-8.5,-8.5z", "!", item.warnings);
  }

  private route({ link, points, stub }: Route): SVGElement {
    const kind = `route${link.crossings ? " crossing" : ""}${stub ? " stub" : ""}`;
    const path = svg("path", { class: kind, d: trace(points) ?? "", "marker-end": link.crossings ? "url(#arrow-crossing)" : "url(#arrow)" });
    if (!link.target) path.removeAttribute("marker-end");
    if (stub) path.append(svg("title", {}, link.source ? (link.target ? `from ${link.source.label}` : "goes on outside") : "from outside"));
    return path;
  }

  private label({ link, points }: Route): SVGElement {
    const middle = points[Math.floor((points.length - 1) / 2)]!;
    const next = points[Math.floor((points.length - 1) / 2) + 1] ?? middle;
    const units = `${this.model.units[link.from] ?? "?"} → ${this.model.units[link.to] ?? "?"}`;
    const text = link.crossings > 1 ? `${link.crossings} crossings` : units;
    const width = textWidth(text, true, 10) + 12;
    const place = `translate(${(middle.x + next.x) / 2},${(middle.y + next.y) / 2})`;
    const title = svg("title", {}, `${counted(link.crossings, "change")} of unit, ${milliseconds(link.cost)}`);
    return svg(
      "g", { class: "crossing-label", transform: place }, title,
      svg("rect", { x: -width / 2, y: -8, width, height: 16, rx: 8 }),
      svg("text", { y: 3.5, "text-anchor": "middle" }, text),
    );
  }
}

function meets(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function extent(points: Point[]): Rect {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x + 1, height: Math.max(...ys) - y + 1 };
}

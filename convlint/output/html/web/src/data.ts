// The model as the page receives it, and what the picture needs to know of it.

/** One number a column; texts are numbers of `strings`. The order is that of `_row` in picture_data.py. */
type NodeRow = [
  box: number, kind: number, label: number, name: number, op: number, shape: number, site: number, unit: number,
  cause: number, reason: number, confidence: number, source: number, low: number, mid: number, high: number,
  given: number, weights: number, flops: number, weightBytes: number,
];

export interface Payload {
  strings: string[];
  /** parent, name, path, type, kind of each box; the first is the model, and a parent stands before its children. */
  boxes: [number, number, number, number, number][];
  nodes: NodeRow[];
  /** source, target, source, target, ... */
  edges: number[];
  /** Where in `edges` a value changes its unit, and the milliseconds that it costs. */
  crossings: [number, number][];
  /** The nodes of each finding of the page, with its severity, in the order of the page. */
  findings: { id: string; severity: string; title: string; nodes: number[] }[];
  blockers: number[];
  units: string[];
  /** Whether the widths of the overview are times; else they are numbers of ops. */
  timed: boolean;
}

export interface Link {
  source: Item | null;
  target: Item | null;
  count: number;
  /** How many of them change the unit, and their cost in milliseconds. */
  crossings: number;
  cost: number;
  /** For a crossing, the units that the first one goes from and to. */
  from: number;
  to: number;
}

export interface Item {
  id: string;
  label: string;
  path: string;
  parent: Box | null;
  depth: number;
  box: Box | null;
  node: Node | null;
  /** What findings and blockers say of it, and for a box of all that is in it. */
  errors: number;
  warnings: number;
  blockers: number;
}

export interface Node extends Item {
  kind: string;
  name: string;
  op: string;
  shape: string;
  site: string;
  unit: number;
  cause: string;
  reason: string;
  confidence: string;
  source: string;
  low: number;
  mid: number;
  high: number;
  /** The arguments that are no tensors, and the parameters, as text. */
  given: string;
  weights: string;
  flops: number;
  weightBytes: number;
  findings: number[];
  /** Its place among the nodes, which its permalink names, and the nodes that it reads and that read it. */
  number: number;
  reads: Node[];
  readers: Node[];
}

export interface Box extends Item {
  kind: string;
  type: string;
  children: Item[];
  open: boolean;
  ops: number;
  low: number;
  mid: number;
  high: number;
  /** Milliseconds, or ops, by unit; the last is what has no unit. */
  weights: number[];
  crossings: number;
  /** The edges between its children; null for the outside. */
  links: Map<string, Link>;
}

export interface Model {
  root: Box;
  boxes: Box[];
  nodes: Node[];
  units: string[];
  timed: boolean;
  findings: Payload["findings"];
}

export function weightOf(box: Box): number {
  return box.weights.reduce((sum, each) => sum + each, 0);
}

export function readModel(payload: Payload): Model {
  const text = (index: number) => payload.strings[index] ?? "";
  const blank = { errors: 0, warnings: 0, blockers: 0 };
  const boxes: Box[] = [];
  for (const [number, [parent, name, path, type, kind]] of payload.boxes.entries()) {
    const outer = boxes[parent] ?? null;
    const box: Box = {
      ...blank, id: `b${number}`, label: text(name), path: text(path), parent: outer, depth: outer ? outer.depth + 1 : 0,
      box: null, node: null, kind: text(kind), type: text(type), children: [], open: false, ops: 0, low: 0, mid: 0, high: 0,
      weights: payload.units.map(() => 0).concat(0), crossings: 0, links: new Map(),
    };
    box.box = box;
    outer?.children.push(box);
    boxes.push(box);
  }
  const root = boxes[0]!;
  const nodes = payload.nodes.map((row, number) => {
    const [box, kind, label, name, op, shape, site, unit, cause, reason, confidence, source, low, mid, high, given, weights, flops, weightBytes] = row;
    const parent = boxes[box]!;
    const node: Node = {
      ...blank, id: `n${number}`, label: text(label), path: parent.path, parent, depth: parent.depth + 1, box: null, node: null,
      kind: text(kind), name: text(name), op: text(op), shape: text(shape), site: text(site), unit, cause: text(cause),
      reason: text(reason), confidence: text(confidence), source: text(source), low, mid, high,
      given: text(given), weights: text(weights), flops, weightBytes, findings: [], number, reads: [], readers: [],
    };
    node.node = node;
    parent.children.push(node);
    if (node.kind === "op") {
      for (let each: Box | null = parent; each; each = each.parent) {
        each.ops += 1;
        each.low += low;
        each.mid += mid;
        each.high += high;
        each.weights[unit < 0 ? payload.units.length : unit]! += payload.timed ? mid : 1;
      }
    }
    return node;
  });
  inProgramOrder(boxes, nodes);
  link(payload, nodes);
  mark(payload, nodes);
  return { root, boxes, nodes, units: payload.units, timed: payload.timed, findings: payload.findings };
}

/** Children in the order in which the program first reaches them. */
function inProgramOrder(boxes: Box[], nodes: Node[]): void {
  const first = new Map<Item, number>();
  for (const [number, node] of nodes.entries()) {
    for (let each: Item | null = node; each && !first.has(each); each = each.parent) first.set(each, number);
  }
  for (const box of boxes) box.children.sort((a, b) => (first.get(a) ?? 0) - (first.get(b) ?? 0));
}

/** Every edge is drawn where its two ends part, and on the way from there in to each of them. */
function link(payload: Payload, nodes: Node[]): void {
  const costs = new Map(payload.crossings);
  for (let at = 0; at < payload.edges.length; at += 2) {
    const from = nodes[payload.edges[at]!]!;
    const to = nodes[payload.edges[at + 1]!]!;
    const cost = costs.get(at / 2);
    if (!to.reads.includes(from)) to.reads.push(from);
    if (!from.readers.includes(to)) from.readers.push(to);
    let a: Item = from;
    let b: Item = to;
    while (a.parent !== b.parent) {
      if (a.depth >= b.depth && a.parent) {
        add(a.parent, a, null, from.unit, to.unit, undefined);
        a = a.parent;
      } else if (b.parent) {
        add(b.parent, null, b, from.unit, to.unit, undefined);
        b = b.parent;
      }
    }
    if (a === b || !a.parent) continue;
    add(a.parent, a, b, from.unit, to.unit, cost);
    if (cost === undefined) continue;
    for (let each: Box | null = a.parent; each; each = each.parent) each.crossings += 1;
  }
}

function add(box: Box, source: Item | null, target: Item | null, from: number, to: number, cost?: number): void {
  const key = `${source?.id ?? ""} ${target?.id ?? ""}`;
  let found = box.links.get(key);
  if (!found) {
    found = { source, target, count: 0, crossings: 0, cost: 0, from, to };
    box.links.set(key, found);
  }
  found.count += 1;
  if (cost === undefined) return;
  if (!found.crossings) [found.from, found.to] = [from, to];
  found.crossings += 1;
  found.cost += cost;
}

function mark(payload: Payload, nodes: Node[]): void {
  const raise = (item: Item, what: "errors" | "warnings" | "blockers") => {
    for (let each: Item | null = item; each; each = each.parent) each[what] += 1;
  };
  for (const [number, finding] of payload.findings.entries()) {
    for (const index of finding.nodes) {
      const node = nodes[index]!;
      node.findings.push(number);
      if (finding.severity === "error") raise(node, "errors");
      if (finding.severity === "warning") raise(node, "warnings");
    }
  }
  for (const index of payload.blockers) raise(nodes[index]!, "blockers");
}

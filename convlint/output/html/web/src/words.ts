// What is said of an item, on hover, when it is chosen, and to a screen reader.

import { type Box, type Item, type Model, type Node, weightOf } from "./data";
import { html } from "./dom";

export function milliseconds(value: number): string {
  return value > 0 ? `${inUnit(value, value)} ${unit(value)}` : "0 ms";
}

// All in the unit of the estimate, so that the ends can be compared with it.
export function interval(low: number, mid: number, high: number): string {
  return `${inUnit(mid, mid)} (${inUnit(low, mid)} – ${inUnit(high, mid)}) ${unit(mid)}`;
}

function unit(value: number): string {
  return value > 0 && value < 0.01 ? "µs" : "ms";
}

function inUnit(value: number, of: number): string {
  const shown = unit(of) === "µs" ? value * 1000 : value;
  return String(shown >= 100 ? Math.round(shown) : Number(shown.toPrecision(2)));
}

export function counted(number: number, noun: string): string {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** The second line of a closed box. */
export function tally(model: Model, box: Box): string {
  return model.timed ? `${counted(box.ops, "op")} · ${milliseconds(box.mid)}` : counted(box.ops, "op");
}

/** ``"ANE 80 %, CPU 20 %"`` of the time, or of the ops. */
export function shares(model: Model, box: Box): string {
  const all = weightOf(box);
  return model.units
    .map((unit, number) => ({ unit, part: all ? box.weights[number]! / all : 0 }))
    .filter(({ part }) => part > 0)
    .sort((a, b) => b.part - a.part)
    .map(({ unit, part }) => `${unit} ${part > 0 && part < 0.01 ? "<1" : Math.round(part * 100)} %`)
    .join(", ");
}

/** One line for screen readers. */
export function spoken(model: Model, item: Item): string {
  const marks = [
    item.blockers && counted(item.blockers, "blocking op"),
    item.errors && counted(item.errors, "error"),
    item.warnings && counted(item.warnings, "warning"),
  ].filter(Boolean);
  const { box, node } = item;
  const what = box
    ? [box.label, box.type, tally(model, box), shares(model, box)]
    : [node!.label, node!.shape, node!.unit >= 0 && model.units[node!.unit]];
  return [...what, ...marks].filter(Boolean).join(", ");
}

/** Everything about an item, as a heading and rows of what and how. */
export function describe(model: Model, item: Item, short: boolean, prefix = ""): HTMLElement {
  const rows = item.box ? aboutBox(model, item.box) : aboutNode(model, item.node!, short, prefix);
  const list = html("dl");
  for (const [name, value] of rows) {
    if (value) list.append(html("dt", {}, name), html("dd", {}, value));
  }
  const kind = item.box ? item.box.type || "module" : item.node!.kind === "op" ? item.node!.op : item.node!.kind;
  const head = html("p", { class: "subject" }, html("strong", {}, item.label), " ", html("span", {}, kind));
  return html("div", { class: "about" }, head, list);
}

const FEW = 8;

/** Links to ops that lead there as their permalinks do. */
function ways(nodes: Node[], prefix: string): HTMLElement | false {
  if (!nodes.length) return false;
  const links = html("span", { class: "links" });
  for (const node of nodes.slice(0, FEW)) links.append(html("a", { href: address(prefix, node) }, node.label), ` ${node.shape}`, html("br"));
  if (nodes.length > FEW) links.append(`and ${counted(nodes.length - FEW, "other")}`);
  return links;
}

/** The permalink of an op: of the first model of a page without the model's name. */
export function address(prefix: string, node: Node): string {
  return `#${prefix === "m0" ? "" : `${prefix}-`}op-${node.number}`;
}

function large(value: number, unit: string): string {
  const steps: [number, string][] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  const [step, letter] = steps.find(([least]) => value >= least) ?? [1, ""];
  return `${Number((value / step).toPrecision(3))} ${letter}${unit}`;
}

type Row = [string, Element | string | undefined | false];

function aboutBox(model: Model, box: Box): Row[] {
  return [
    ["module", box.path],
    ["ops", counted(box.ops, "op")],
    ["time", model.timed && interval(box.low, box.mid, box.high)],
    ["runs on", shares(model, box)],
    ["crossings", box.crossings ? counted(box.crossings, "change") + " of unit" : ""],
    ["blocking", box.blockers ? counted(box.blockers, "op") : ""],
    ["findings", [box.errors && counted(box.errors, "error"), box.warnings && counted(box.warnings, "warning")].filter(Boolean).join(", ")],
  ];
}

function aboutNode(model: Model, node: Node, short: boolean, prefix: string): Row[] {
  const findings = html("span", { class: "links" });
  for (const number of node.findings) {
    const { id, title } = model.findings[number]!;
    findings.append(html("a", { href: `#${id}` }, title));
  }
  const source = /^https?:\/\//.test(node.source) && html("a", { href: node.source, rel: "noreferrer" }, node.source);
  return [
    ["runs on", node.unit >= 0 ? `${model.units[node.unit]}${node.cause === "runs" ? "" : ` – ${node.cause}`}` : node.cause],
    ["because", node.reason],
    ["time", model.timed && node.kind === "op" && interval(node.low, node.mid, node.high)],
    ["arguments", !short && node.given],
    ["reads", !short && ways(node.reads, prefix)],
    ["gives", node.shape],
    ["read by", !short && ways(node.readers, prefix)],
    ["weights", !short && [node.weights, node.weightBytes > 0 && large(node.weightBytes, "B")].filter(Boolean).join(" · ")],
    ["compute", node.flops > 0 && large(node.flops, "FLOP")],
    ["module", node.path],
    ["line", node.site],
    ["findings", node.findings.length > 0 && (short ? counted(node.findings.length, "finding") : findings)],
    ["name", node.name],
    ["link", !short && html("a", { href: address(prefix, node) }, address(prefix, node))],
    ["known from", !short && [node.confidence, ...(source ? [] : [node.source])].filter(Boolean).join(": ")],
    ["source", !short && source],
  ];
}

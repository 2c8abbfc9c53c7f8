// Where everything stands: dagre lays out the children of one open box at a time, from the innermost out.

import dagre from "@dagrejs/dagre";
import type { Box, Item, Link, Model } from "./data";
import { tally } from "./words";

type Edge = [source: string, target: string];
type Graph = InstanceType<typeof dagre.graphlib.Graph>;

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

export interface Placed extends Rect {
  item: Item;
}

/** ``stub``: only its last bit is drawn, because the whole of it would run across all that stands between. */
export interface Route {
  id: string;
  link: Link;
  points: Point[];
  stub: boolean;
}

export interface Scene {
  width: number;
  height: number;
  /** Open boxes from the outermost in, without the model itself. */
  frames: Placed[];
  leaves: Placed[];
  routes: Route[];
  places: Map<string, Placed>;
}

/** Of one open box, with its own upper left corner at the origin; edges come in and go out at these places. */
interface Inside {
  width: number;
  height: number;
  entrance: number;
  exit: number;
  children: Placed[];
  routes: Route[];
}

const HEAD = 30;
const PADDING = 14;
/** More edges than this from or to the outside, or from one child, and only the first is drawn whole. */
const FEW = 2;
const MANY = 6;
const IN = "in";
const OUT = "out";

const measure = document.createElement("canvas").getContext("2d");
const widths = new Map<string, number>();

/** The width of a text as the page will draw it. */
export function textWidth(text: string, bold = false, size = 12.5): number {
  const key = `${bold}${size}${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    if (measure) measure.font = `${bold ? 600 : 400} ${size}px system-ui, sans-serif`;
    width = measure?.measureText(text).width ?? text.length * 7;
    widths.set(key, width);
  }
  return width;
}

export const LONGEST = 34;

/** A name that fits a box; the whole of it is told on hover and to a screen reader. */
export function short(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 13)}…${text.slice(-12)}`;
}

export class Layout {
  private readonly known = new Map<Box, Inside>();
  private readonly graphs = new Map<string, Graph>();

  constructor(private readonly model: Model) {}

  /** Forget what the opening or closing of a box has changed. */
  forget(box: Box): void {
    for (let each: Box | null = box; each; each = each.parent) this.known.delete(each);
  }

  scene(root: Box): Scene {
    const inside = this.inside(root);
    const scene: Scene = {
      width: inside.width, height: inside.height, frames: [], leaves: [], routes: [], places: new Map(),
    };
    this.flatten(inside, 0, 0, scene);
    return scene;
  }

  private flatten(inside: Inside, x: number, y: number, scene: Scene): void {
    for (const route of inside.routes) {
      scene.routes.push({ ...route, points: route.points.map((point) => ({ x: point.x + x, y: point.y + y })) });
    }
    for (const child of inside.children) {
      const placed = { ...child, x: child.x + x, y: child.y + y };
      scene.places.set(child.item.id, placed);
      if (child.item.box?.open) {
        scene.frames.push(placed);
        this.flatten(this.inside(child.item.box), placed.x, placed.y, scene);
      } else {
        scene.leaves.push(placed);
      }
    }
  }

  private size(item: Item): { width: number; height: number } {
    const { box, node } = item;
    if (box?.open) return this.inside(box);
    const label = textWidth(short(item.label), true);
    if (box) {
      const second = textWidth(tally(this.model, box), false, 11) + (box.crossings ? textWidth(`⇄ ${box.crossings}`, true, 11) + 12 : 0);
      return { width: Math.max(132, label + textWidth(short(box.type), false, 11) + 50, second + 44), height: 58 };
    }
    if (node?.kind !== "op") return { width: Math.max(64, label + textWidth(node?.shape ?? "", false, 11) + 34), height: 26 };
    return { width: Math.max(84, label + 62), height: 28 };
  }

  private inside(box: Box): Inside {
    let found = this.known.get(box);
    if (!found) {
      found = this.arrange(box);
      this.known.set(box, found);
    }
    return found;
  }

  private arrange(box: Box): Inside {
    const inner = box.parent !== null;
    const { whole, stubs } = sorted(box, inner);
    const numbers = new Map<Item | null, string>(box.children.map((child, number) => [child, String(number)]));
    const sizes = box.children.map((child) => this.size(child));
    const edges = whole.map(({ source, target }): Edge => [source ? numbers.get(source)! : IN, target ? numbers.get(target)! : OUT]);
    // Blocks that are alike, as most models have them, are laid out once.
    const key = JSON.stringify([sizes.map(({ width, height }) => [width, height]), edges]);
    let graph = this.graphs.get(key);
    if (!graph) {
      graph = laidOut(sizes, edges);
      this.graphs.set(key, graph);
    }
    return this.placed(box, graph, whole.map((link, number) => ({ link, edge: edges[number]! })), stubs, inner);
  }

  /** What dagre found, moved to make room for the head of the box, with the edges drawn out to their ends. */
  private placed(box: Box, graph: Graph, whole: { link: Link; edge: Edge }[], stubs: Link[], inner: boolean): Inside {
    const [head, padding] = inner ? [HEAD, PADDING] : [0, 0];
    const extent = graph.graph() as { width?: number; height?: number };
    const title = inner ? textWidth(short(box.label), true) + textWidth(short(box.type), false, 11) + 130 : 0;
    const width = Math.max((extent.width ?? 0) + 2 * padding, title);
    const height = (extent.height ?? 0) + head + 2 * padding;
    const [dx, dy] = [(width - (extent.width ?? 0)) / 2, head + padding];
    const at = new Map<string, Rect>();
    for (const id of graph.nodes()) {
      const node = graph.node(id) as Rect;
      const item = box.children[Number(id)];
      const rect = { x: node.x - node.width / 2 + dx, y: node.y - node.height / 2 + dy, width: node.width, height: node.height };
      at.set(item?.id ?? id, rect);
    }
    const routes = [
      ...whole.map(({ link, edge }) => {
        const { points } = graph.edge(edge[0], edge[1]) as { points: Point[] };
        return this.route(box, link, points.slice(1, -1).map(({ x, y }) => ({ x: x + dx, y: y + dy })), at, head, height);
      }),
      ...stubs.map((link) => stub(box, link, at)),
    ];
    return {
      width, height, routes,
      entrance: at.get(IN)?.x ?? width / 2,
      exit: at.get(OUT)?.x ?? width / 2,
      children: box.children.map((item) => ({ item, ...at.get(item.id)! })),
    };
  }

  private route(box: Box, link: Link, bends: Point[], at: Map<string, Rect>, head: number, height: number): Route {
    const [source, target] = [link.source?.id ?? IN, link.target?.id ?? OUT];
    const [from, to] = [at.get(source)!, at.get(target)!];
    const back = from.y > to.y; // dagre turns one edge of a cycle around
    const leave = { x: from.x + this.exit(link.source, from), y: from.y + (back ? 0 : from.height) };
    const enter = { x: to.x + this.entrance(link.target, to), y: to.y + (back ? to.height : 0) };
    const start = link.source ? [leave] : [{ x: leave.x, y: head }, leave];
    const end = link.target ? [enter] : [enter, { x: enter.x, y: height }];
    return { id: `${box.id} ${source} ${target}`, link, points: [...start, ...bends, ...end], stub: false };
  }

  private entrance(item: Item | null, place: Rect): number {
    return item?.box?.open ? this.inside(item.box).entrance : place.width / 2;
  }

  private exit(item: Item | null, place: Rect): number {
    return item?.box?.open ? this.inside(item.box).exit : place.width / 2;
  }
}

/** The edges to draw from end to end, and those of which the last bit must do.

    A mask that every block reads, or a tensor that goes to a dozen others, would cover the way that the data takes.
    Values from outside are led to what has no other source, and values to the outside come from what has no other use. */
function sorted(box: Box, inner: boolean): { whole: Link[]; stubs: Link[] } {
  const links = [...box.links.values()].filter((link) => inner || (link.source && link.target));
  const counts = { fed: new Map<Item, number>(), read: new Map<Item, number>() };
  for (const { source, target } of links) {
    if (!source || !target) continue;
    counts.fed.set(target, (counts.fed.get(target) ?? 0) + 1);
    counts.read.set(source, (counts.read.get(source) ?? 0) + 1);
  }
  const whole: Link[] = [];
  const stubs: Link[] = [];
  const inward = links.filter((link) => !link.source).length > FEW;
  const outward = links.filter((link) => !link.target).length > FEW;
  const first = new Set<Item>();
  for (const link of links) {
    const { source, target } = link;
    let short = false;
    if (!source) short = inward && (counts.fed.get(target!) ?? 0) > 0;
    else if (!target) short = outward && (counts.read.get(source) ?? 0) > 0;
    else if (!link.crossings && counts.read.get(source)! > MANY) {
      short = first.has(source) && counts.fed.get(target)! > 1;
      first.add(source);
    }
    (short ? stubs : whole).push(link);
  }
  return { whole, stubs };
}

/** The end of an edge, at the left shoulder of what it enters or the right foot of what it leaves. */
function stub(box: Box, link: Link, at: Map<string, Rect>): Route {
  const id = `${box.id} ${link.source?.id ?? IN} ${link.target?.id ?? OUT}`;
  if (link.target) {
    const { x, y } = at.get(link.target.id)!;
    return { id, link, stub: true, points: [{ x: x + 1, y: y - 12 }, { x: x + 12, y }] };
  }
  const { x, y, width, height } = at.get(link.source!.id)!;
  return { id, link, stub: true, points: [{ x: x + width - 12, y: y + height }, { x: x + width - 1, y: y + height + 12 }] };
}

/** One level, laid out by dagre; its nodes are called by their numbers. */
function laidOut(sizes: { width: number; height: number }[], edges: Edge[]): Graph {
  const graph = new dagre.graphlib.Graph({ multigraph: false, compound: false });
  graph.setGraph({ rankdir: "TB", nodesep: 22, ranksep: 30, edgesep: 12, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [number, { width, height }] of sizes.entries()) graph.setNode(String(number), { width, height });
  for (const [source, target] of edges) {
    for (const port of [IN, OUT]) if (source === port || target === port) graph.setNode(port, { width: 1, height: 1 });
    graph.setEdge(source, target, { weight: source === IN || target === OUT ? 1 : 2 });
  }
  inRows(graph, sizes.map((_, number) => String(number)).filter((id) => !graph.nodeEdges(id)?.length));
  dagre.layout(graph);
  return graph;
}

/** What nothing connects would stand in one endless row: unseen edges break it into several. */
function inRows(graph: Graph, ids: string[]): void {
  const columns = Math.max(4, Math.ceil(Math.sqrt(ids.length)));
  for (let number = columns; number < ids.length; number += 1) graph.setEdge(ids[number - columns]!, ids[number]!, { weight: 1 });
}

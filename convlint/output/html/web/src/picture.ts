// The picture as people use it: open and close, pan and zoom, choose, and find their way by keyboard.

import { select } from "d3-selection";
import "d3-transition";
import { type ZoomTransform, zoom, zoomIdentity } from "d3-zoom";
import type { Box, Item, Model } from "./data";
import { button, html, svg } from "./dom";
import { Drawing } from "./draw";
import { Layout, type Rect, type Scene } from "./layout";
import { describe } from "./words";

const MARGIN = 28;
const LEAST = 0.02;
const MOST = 3;
const FIRST_SIGHT = 42;
const FAR = 0.33;

export class Picture {
  readonly stage: HTMLElement;
  chosen: Item | null = null;
  private readonly canvas: SVGSVGElement;
  private readonly drawing: Drawing;
  private readonly layout: Layout;
  private readonly tip = html("div", { class: "tip", role: "tooltip", hidden: true });
  private readonly details: HTMLElement;
  private readonly byId = new Map<string, Item>();
  private readonly zoom = zoom<SVGSVGElement, unknown>();
  private scene!: Scene;
  private transform: ZoomTransform = zoomIdentity;
  private pending = 0;

  /** Called whenever another item is chosen, or none. */
  onChoose: (item: Item | null) => void = () => {};

  constructor(readonly model: Model, place: HTMLElement, title: string, private readonly prefix: string) {
    for (const item of [...model.boxes, ...model.nodes]) this.byId.set(item.id, item);
    this.drawing = new Drawing(model);
    this.layout = new Layout(model);
    this.canvas = svg("svg", { class: "canvas", role: "tree", "aria-label": title, tabindex: 0 }) as SVGSVGElement;
    this.canvas.append(arrows(), this.drawing.root);
    this.details = html("div", { class: "details", role: "region", "aria-label": "What is chosen", "aria-live": "polite", hidden: true });
    this.stage = place;
    place.append(this.canvas, this.tip);
    place.after(this.details);
    openFirst(model.root);
    this.listen();
    this.refresh();
    this.fit(false);
  }

  /** Open or close a box, which stays where it is in the window. */
  toggle(box: Box): void {
    if (!box.parent) return;
    const before = this.scene.places.get(box.id);
    box.open = !box.open;
    this.layout.forget(box);
    this.refresh();
    const after = this.scene.places.get(box.id);
    if (before && after) {
      const { x, y, k } = this.transform;
      this.move(zoomIdentity.translate(x + (before.x - after.x) * k, y + (before.y - after.y) * k).scale(k), false);
    }
    this.choose(box, true);
  }

  /** Open or close everything. */
  setAll(open: boolean): void {
    for (const box of this.model.boxes) box.open = open && box.children.length > 0;
    this.model.root.open = true;
    if (!open) openFirst(this.model.root);
    for (const box of this.model.boxes) this.layout.forget(box);
    this.refresh();
    this.fit(false);
  }

  /** Open what hides an item, and bring it to the middle. */
  reveal(item: Item, animated = true): void {
    let changed = false;
    for (let box = item.parent; box; box = box.parent) {
      if (box.open) continue;
      box.open = changed = true;
      this.layout.forget(box);
    }
    if (changed) this.refresh();
    const place = this.scene.places.get(item.id);
    if (place) {
      const { width, height } = this.window();
      const room = Math.min((width - 2 * MARGIN) / place.width, (height - 2 * MARGIN) / place.height);
      const k = Math.max(LEAST, Math.min(Math.max(this.transform.k, 0.85), room, MOST));
      const x = width / 2 - (place.x + place.width / 2) * k;
      const y = height / 2 - (place.y + place.height / 2) * k;
      this.move(zoomIdentity.translate(x, y).scale(k), animated);
    }
    this.choose(item, true);
  }

  /** The whole picture, or of a tall one its beginning, at a size that can be read. */
  fit(animated = true, whole = false): void {
    const { width, height } = this.window();
    const wide = (width - 2 * MARGIN) / Math.max(this.scene.width, 1);
    const tall = (height - 2 * MARGIN) / Math.max(this.scene.height, 1);
    const all = Math.min(wide, tall, 1);
    const k = Math.max(LEAST, whole ? all : Math.min(Math.max(all, Math.min(wide, 0.75), 0.3), 1));
    const x = (width - this.scene.width * k) / 2;
    const y = this.scene.height * k < height - 2 * MARGIN ? (height - this.scene.height * k) / 2 : MARGIN;
    this.move(zoomIdentity.translate(x, y).scale(k), animated);
  }

  scale(by: number): void {
    const { width, height } = this.window();
    const { x, y, k } = this.transform;
    const to = Math.max(LEAST, Math.min(MOST, k * by));
    const keep = (at: number, middle: number) => middle - ((middle - at) / k) * to;
    this.move(zoomIdentity.translate(keep(x, width / 2), keep(y, height / 2)).scale(to), true);
  }

  /** Choose an item: it is outlined, described, and has the focus. */
  choose(item: Item | null, focus: boolean): void {
    if (this.chosen) this.drawing.element(this.chosen)?.classList.remove("chosen");
    this.chosen = item;
    this.update();
    this.details.hidden = !item;
    this.details.replaceChildren(...(item ? [this.closer(), describe(this.model, item, false, this.prefix)] : []));
    this.details.scrollTop = 0;
    const element = item && this.drawing.element(item);
    element?.classList.add("chosen");
    if (focus) (element ?? this.canvas).focus({ preventScroll: true });
    this.onChoose(item);
  }

  /** The items in the order in which they are read, without what closed boxes hide. */
  readable(): Item[] {
    const found: Item[] = [];
    const visit = (box: Box) => {
      for (const child of box.children) {
        found.push(child);
        if (child.box?.open) visit(child.box);
      }
    };
    visit(this.model.root);
    return found;
  }

  /** For paper: everything that is open, at once and whole. Gives what undoes it. */
  whole(): () => void {
    const { width, height } = this.scene;
    this.drawing.root.removeAttribute("transform");
    this.canvas.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${width + 2 * MARGIN} ${height + 2 * MARGIN}`);
    this.drawing.update(null, this.chosen);
    return () => {
      this.canvas.removeAttribute("viewBox");
      this.drawing.root.setAttribute("transform", this.transform.toString());
      this.update();
    };
  }

  private closer(): HTMLElement {
    const close = button("×", "Close  ( Esc )", () => this.choose(null, true));
    close.classList.add("close");
    return close;
  }

  private window(): { width: number; height: number } {
    return { width: this.canvas.clientWidth || 800, height: this.canvas.clientHeight || 600 };
  }

  private refresh(): void {
    this.scene = this.layout.scene(this.model.root);
    this.drawing.set(this.scene);
    this.update();
  }

  private update(): void {
    const { x, y, k } = this.transform;
    const { width, height } = this.window();
    const sight: Rect = { x: (-x - width / 2) / k, y: (-y - height / 2) / k, width: (2 * width) / k, height: (2 * height) / k };
    this.drawing.update(sight, this.chosen);
    if (this.chosen) this.drawing.element(this.chosen)?.classList.add("chosen");
  }

  private move(transform: ZoomTransform, animated: boolean): void {
    const canvas = select(this.canvas).interrupt();
    const still = !animated || matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (still) canvas.call(this.zoom.transform, transform);
    else canvas.transition().duration(260).call(this.zoom.transform, transform);
  }

  private listen(): void {
    this.zoom
      .scaleExtent([LEAST, MOST])
      .filter((event: Event) => event.type !== "dblclick" && (event.type !== "wheel" || (event as WheelEvent).ctrlKey || (event as WheelEvent).metaKey))
      .on("zoom", ({ transform }: { transform: ZoomTransform }) => {
        this.transform = transform;
        this.drawing.root.setAttribute("transform", transform.toString());
        this.canvas.classList.toggle("far", transform.k < FAR);
        cancelAnimationFrame(this.pending);
        this.pending = requestAnimationFrame(() => this.update());
      });
    select(this.canvas).call(this.zoom);
    this.canvas.addEventListener("wheel", (event) => this.pan(event), { passive: false });
    this.canvas.addEventListener("click", (event) => {
      const item = this.itemOf(event.target);
      if (item?.box) this.toggle(item.box);
      else this.choose(item, true);
    });
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => this.hide());
    this.canvas.addEventListener("pointerdown", () => this.hide());
    this.canvas.addEventListener("focusin", (event) => {
      const item = this.itemOf(event.target);
      if (item && item !== this.chosen) this.choose(item, false);
    });
  }

  private pan(event: WheelEvent): void {
    if (event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.hide();
    const { x, y, k } = this.transform;
    const [across, down] = event.shiftKey && !event.deltaX ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
    this.move(zoomIdentity.translate(x - across, y - down).scale(k), false);
  }

  private itemOf(target: EventTarget | null): Item | null {
    const group = target instanceof Element ? target.closest("[data-id]") : null;
    return this.byId.get(group?.getAttribute("data-id") ?? "") ?? null;
  }

  private hide(): void {
    this.tip.hidden = true;
  }

  private hover(event: PointerEvent): void {
    const item = this.itemOf(event.target);
    if (!item || event.buttons || event.pointerType === "touch") {
      this.hide();
      return;
    }
    if (this.tip.dataset["of"] !== item.id) this.tip.replaceChildren(describe(this.model, item, true));
    this.tip.dataset["of"] = item.id;
    this.tip.hidden = false;
    const frame = this.stage.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    const { offsetWidth, offsetHeight } = this.tip;
    const left = x + 16 + offsetWidth > frame.width ? x - 16 - offsetWidth : x + 16;
    const top = Math.min(y + 14, frame.height - offsetHeight - 8);
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }
}

/** Open what has nothing beside it to be closed for, and what is most of the model while few boxes show. */
function openFirst(root: Box): void {
  root.open = true;
  const waiting = [root];
  let shown = root.children.length;
  while (waiting.length) {
    const { children } = waiting.shift()!;
    const boxes = children.flatMap((child) => (child.box?.kind === "module" ? [child.box] : []));
    for (const box of boxes.sort((a, b) => b.ops - a.ops)) {
      const most = box.ops > 0.6 * root.ops && shown + box.children.length <= FIRST_SIGHT;
      if (!most && children.length > 1) continue;
      box.open = true;
      shown += box.children.length;
      waiting.push(box);
    }
  }
}

function arrows(): SVGElement {
  const head = (id: string) =>
    svg(
      "marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto", markerUnits: "userSpaceOnUse" },
      svg("path", { d: "M0,0.5L8,4L0,7.5Z" }),
    );
  return svg("defs", {}, head("arrow"), head("arrow-crossing"));
}

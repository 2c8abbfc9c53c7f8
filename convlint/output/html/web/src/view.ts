// One model of the page: its picture and its table of ops, of which one is shown, and the choice that both share.

import { type Item, type Model, type Payload, readModel } from "./data";
import { button } from "./dom";
import { overview } from "./overview";
import { Picture } from "./picture";
import { search } from "./search";
import { Table } from "./table";
import { address } from "./words";

export class View {
  readonly model: Model;
  readonly picture: Picture;
  mode: "picture" | "table" = "picture";
  private table: Table | null = null;
  private readonly input: HTMLInputElement;
  private readonly frame: HTMLElement;
  private readonly turns: HTMLElement[];

  constructor(readonly section: HTMLElement, data: string, stage: HTMLElement) {
    this.model = readModel(JSON.parse(data) as Payload);
    this.frame = section.querySelector<HTMLElement>(".picture")!;
    this.picture = new Picture(this.model, stage, `The model ${section.dataset["model"] ?? ""} as a picture`, section.id);
    const reveal = (item: Item) => this.reveal(item);
    this.input = search(this.model, section.querySelector<HTMLElement>(".search")!, reveal);
    overview(this.model, section.querySelector<HTMLElement>(".overview")!, reveal);
    this.turns = [
      button("Picture", "Show the picture  ( t )", () => this.turn("picture")),
      button("Table", "Show the ops as a table  ( t )", () => this.turn("table")),
    ];
    section.querySelector(".turns")!.append(...this.turns);
    section.querySelector(".tools")!.append(
      button("+", "Zoom in  ( + )", () => this.picture.scale(1.3)),
      button("−", "Zoom out  ( − )", () => this.picture.scale(1 / 1.3)),
      button("Fit", "Show all of it  ( f )", () => this.picture.fit(true, true)),
      button("Open all", "Open every module", () => this.picture.setAll(true)),
      button("Close all", "Close every module", () => this.picture.setAll(false)),
    );
    this.turn("picture");
    this.picture.onChoose = (item) => {
      this.table?.point(item?.node ?? null);
      const hash = item?.node ? address(section.id, item.node) : "";
      history.replaceState(null, "", hash || location.pathname + location.search);
    };
  }

  /** Show the picture or the table; without a word, the other one. */
  turn(to: "picture" | "table" = this.mode === "picture" ? "table" : "picture"): void {
    this.mode = to;
    this.frame.classList.toggle("as-table", to === "table");
    for (const [number, each] of this.turns.entries()) each.setAttribute("aria-pressed", String((number === 1) === (to === "table")));
    if (to === "table" && !this.table) {
      const place = this.section.querySelector<HTMLElement>(".ops")!;
      this.table = new Table(this.model, place, this.section.id, (node) => this.reveal(node));
    }
    if (to === "table") this.table?.point(this.picture.chosen?.node ?? null);
    else if (this.picture.chosen) this.picture.reveal(this.picture.chosen, false);
  }

  /** Choose an item in what is shown; only the picture has modules. */
  reveal(item: Item): void {
    if (item.box && this.mode === "table") this.turn("picture");
    if (this.mode === "table") this.picture.choose(item, false);
    else this.picture.reveal(item);
  }

  /** After the width of the section has changed. */
  resize(): void {
    if (this.mode === "picture") this.picture.fit(false);
  }

  focusSearch(): void {
    if (this.mode === "table") this.table?.focus();
    else this.input.focus();
  }
}

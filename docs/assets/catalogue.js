// The table and the drawing of the catalogue's page. The entries stand in the page as JSON; nothing is fetched.
// A link such as #timm/fastvit_t8 opens that entry, and going back closes it.
"use strict";
(() => {
  const place = document.getElementById("catalogue");
  const data = JSON.parse(document.getElementById("catalogue-data").textContent);
  const entries = data.entries;
  const SVG = "http://www.w3.org/2000/svg";
  const STEP = 60; // rows that are shown at once
  const SHAPES = { "as-is": "circle", fixed: "diamond", "in-part": "triangle", no: "cross" };
  const AXES = {
    parameters: { title: "parameters", of: (entry) => entry.parameters },
    gflops: { title: "GFLOPs", of: (entry) => entry.gflops },
  };
  const usual = data.chips.includes("A17 Pro") ? "A17 Pro" : (data.chips[0] ?? "");
  const state = {
    text: "", task: "", source: "", chip: usual, axis: "parameters",
    answers: new Set(Object.keys(data.answers)), sort: "name", down: false, rows: STEP,
  };

  /** An element with attributes and children; text stays text. */
  const make = (name, attributes = {}, ...children) => {
    const drawn = ["svg", "g", "path", "line", "text", "title", "rect"].includes(name);
    const element = drawn ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  const digits = (number, count) => {
    const text = Number(number.toPrecision(count));
    return text.toLocaleString("en", { maximumSignificantDigits: count, useGrouping: false });
  };
  const quantity = (number) => {
    for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (number >= 0.9995 * size) return `${digits(number / size, 3)} ${letter}`;
    }
    return String(number);
  };
  const latency = (entry) => entry.places[state.chip];
  const spanOf = ([middle, low, high], unit = "") =>
    `${digits(middle, 3)}${unit} (${digits(low, 2)} to ${digits(high, 2)})`;
  const span = (entry) => (latency(entry) ? spanOf(latency(entry)) : "");
  const answer = (entry) => data.answers[entry.converts];
  const address = (entry) => `#${entry.name.split("/").map(encodeURIComponent).join("/")}`;

  const COLUMNS = [
    { key: "name", title: "name", of: (entry) => entry.name },
    { key: "task", title: "task", of: (entry) => entry.task },
    { key: "converts", title: "converts", of: (entry) => Object.keys(data.answers).indexOf(entry.converts) },
    { key: "parameters", title: "parameters", of: AXES.parameters.of, number: true },
    { key: "gflops", title: "GFLOPs", of: AXES.gflops.of, number: true },
    { key: "latency", title: "ms", of: (entry) => latency(entry)?.[0], number: true },
  ];

  const chosen = () => {
    const words = state.text.toLowerCase().replaceAll(":", "/").split(/\s+/).filter(Boolean);
    const column = COLUMNS.find((each) => each.key === state.sort);
    const compare = (one, other) => {
      const [a, b] = [column.of(one), column.of(other)];
      const missing = (a ?? null) === null ? 1 : 0;
      const order = missing - ((b ?? null) === null ? 1 : 0); // what is not known comes last either way
      if (order) return order;
      const way = missing ? 0 : typeof a === "string" ? a.localeCompare(b) : a - b;
      return (state.down ? -way : way) || one.name.localeCompare(other.name);
    };
    return entries
      .filter((entry) => state.answers.has(entry.converts))
      .filter((entry) => !state.task || entry.task === state.task)
      .filter((entry) => !state.source || entry.source === state.source)
      .filter((entry) => words.every((word) => `${entry.name} ${entry.task}`.toLowerCase().includes(word)))
      .sort(compare);
  };

  // The controls.
  const set = (changes) => {
    Object.assign(state, { rows: STEP }, changes);
    draw();
  };
  const choice = (title, key, options, all) =>
    make("label", {}, make("span", {}, title), make(
      "select",
      { onchange: (event) => set({ [key]: event.target.value }) },
      ...(all ? [make("option", { value: "" }, all)] : []),
      ...options.map(([value, words]) => make("option", { value, selected: state[key] === value }, words)),
    ));
  const distinct = (key) => [...new Set(entries.map((entry) => entry[key]))].sort().map((each) => [each, each]);
  const answers = Object.entries(data.answers).filter(([key]) => entries.some((entry) => entry.converts === key));
  const legend = make("fieldset", { class: "answers" }, make("legend", {}, "Answer"), ...answers.map(([key, words]) =>
    make("label", {}, make("input", {
      type: "checkbox", checked: true, value: key,
      onchange: (event) => {
        state.answers[event.target.checked ? "add" : "delete"](key);
        set({});
      },
    }), sign(key), words)));
  function sign(key) {
    const picture = make("svg", { class: "sign", viewBox: "-8 -8 16 16", "aria-hidden": "true" });
    if (SHAPES[key]) picture.append(make("path", { d: outline(key), class: `dot ${key}` }));
    return picture;
  }
  const controls = make(
    "form",
    { class: "controls", role: "search", onsubmit: (event) => event.preventDefault() },
    make("label", { class: "wide" }, make("span", {}, "Search"), make("input", {
      type: "search", placeholder: "swin, timm/ vit, …", autocomplete: "off", spellcheck: "false",
      oninput: (event) => set({ text: event.target.value }),
    })),
    choice("Task", "task", distinct("task"), "all tasks"),
    choice("Source", "source", distinct("source"), "all sources"),
    choice("Chip", "chip", data.chips.map((chip) => [chip, chip])),
    choice("Latency against", "axis", Object.entries(AXES).map(([key, axis]) => [key, axis.title])),
    legend,
  );
  const count = make("p", { class: "count", role: "status" });
  const drawing = make("div", { class: "drawing" });
  const table = make("div", { class: "rows" });
  const detail = make("section", { class: "detail", tabindex: "-1", "aria-live": "polite" });

  // The drawing: both axes by powers of ten; what has no forecast stands in a band above.
  function outline(key, size = 5) {
    const s = size;
    return {
      "as-is": `M${-s} 0a${s} ${s} 0 1 0 ${2 * s} 0a${s} ${s} 0 1 0 ${-2 * s} 0z`,
      fixed: `M0 ${-s - 1}L${s + 1} 0L0 ${s + 1}L${-s - 1} 0z`,
      "in-part": `M0 ${-s}L${s} ${s}L${-s} ${s}z`,
      no: `M${-s} ${-s}L${s} ${s}M${-s} ${s}L${s} ${-s}`,
    }[key];
  }
  const ticks = (low, high) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const step of [1, 2, 5]) found.push(step * 10 ** power);
    }
    const inside = found.filter((each) => each >= low * 0.999 && each <= high * 1.001);
    const tens = inside.filter((each) => Math.abs(Math.log10(each) - Math.round(Math.log10(each))) < 1e-6);
    return inside.length <= 7 || tens.length < 2 ? inside : tens;
  };
  let points = [];
  let current = -1;
  const paint = (shown) => {
    const width = Math.max(300, Math.min(1100, place.clientWidth || 700));
    const height = width < 500 ? 300 : 400;
    const edge = { left: 46, right: 20, top: 34, bottom: 40 };
    const axis = AXES[state.axis];
    const known = shown.filter((entry) => axis.of(entry) && SHAPES[entry.converts]);
    const timed = known.filter((entry) => latency(entry));
    drawing.replaceChildren();
    points = [];
    current = -1;
    if (!known.length) return;
    const room = (values) => [Math.min(...values) / 1.25, Math.max(...values) * 1.25];
    const [left, right] = room(known.map(axis.of));
    const [low, high] = timed.length ? room(timed.map((entry) => latency(entry)[0])) : [0.5, 2];
    const along = (value, from, to, start, end) =>
      start + ((Math.log(value) - Math.log(from)) / (Math.log(to) - Math.log(from))) * (end - start);
    const x = (value) => along(value, left, right, edge.left, width - edge.right);
    const y = (value) => along(value, low, high, height - edge.bottom, edge.top + 24);
    const svg = make("svg", {
      viewBox: `0 0 ${width} ${height}`, width, height, role: "application", tabindex: "0",
      "aria-label": `Latency on ${state.chip} against ${axis.title}, ${known.length} architectures.`
        + " Arrow keys go from one to the next, Enter opens it.",
      onkeydown: steer,
      onblur: () => tell(-1),
    });
    for (const tick of ticks(left, right)) {
      svg.append(
        make("line", { class: "grid", x1: x(tick), x2: x(tick), y1: edge.top, y2: height - edge.bottom }),
        make("text", { x: x(tick), y: height - edge.bottom + 16, "text-anchor": "middle" }, quantity(tick)),
      );
    }
    for (const tick of timed.length ? ticks(low, high) : []) {
      svg.append(
        make("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: y(tick), y2: y(tick) }),
        make("text", { x: edge.left - 6, y: y(tick) + 4, "text-anchor": "end" }, digits(tick, 2)),
      );
    }
    svg.append(
      make("text", { class: "title", x: width - edge.right, y: height - 6, "text-anchor": "end" }, axis.title),
      make("text", { class: "title", x: 4, y: 12 }, `ms on ${state.chip}`),
    );
    if (known.length > timed.length) {
      svg.append(make("rect", { class: "band", x: edge.left, y: edge.top - 14, width: width - edge.left - edge.right, height: 24 }));
      svg.append(make("text", { class: "title", x: width - edge.right, y: 12, "text-anchor": "end" }, "grey: no forecast"));
    }
    const ordered = [...known].sort((one, other) => axis.of(one) - axis.of(other));
    for (const entry of ordered) {
      const at = [x(axis.of(entry)), latency(entry) ? y(latency(entry)[0]) : edge.top - 2];
      const mark = make("path", {
        d: outline(entry.converts, width < 500 ? 3.5 : 5), class: `dot ${entry.converts}`, transform: `translate(${at})`,
      }, make("title", {}, told(entry)));
      mark.addEventListener("click", () => { location.hash = address(entry); });
      svg.append(mark);
      points.push({ entry, mark });
    }
    drawing.append(svg, make("p", { class: "told", "aria-live": "polite" }, "Choose a point for its name."));
    for (const [number, point] of points.entries()) {
      point.mark.addEventListener("pointerenter", () => tell(number));
    }
  };
  const told = (entry) => {
    const size = entry.parameters ? `, ${quantity(entry.parameters)} parameters${entry.reduced ? " (reduced)" : ""}` : "";
    return `${entry.name}: ${answer(entry)}${size}${latency(entry) ? `, ${span(entry)} ms` : ""}`;
  };
  const tell = (number) => {
    points[current]?.mark.classList.remove("here");
    current = number;
    const point = points[number];
    if (!point) return;
    point.mark.classList.add("here");
    drawing.querySelector(".told").textContent = told(point.entry);
  };
  function steer(event) {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (step) tell((current + step + points.length) % points.length);
    else if (event.key === "Home") tell(0);
    else if (event.key === "End") tell(points.length - 1);
    else if (event.key === "Enter" && points[current]) location.hash = address(points[current].entry);
    else return;
    event.preventDefault();
  }

  // The table.
  const fill = (shown) => {
    const head = make("tr", {}, ...COLUMNS.map((column) => {
      const here = state.sort === column.key;
      const title = column.key === "latency" ? `ms on ${state.chip}` : column.title;
      return make("th", {
        scope: "col", class: column.key, "aria-sort": here ? (state.down ? "descending" : "ascending") : "none",
      }, make("button", {
        type: "button", "data-sort": column.key,
        onclick: () => {
          set({ sort: column.key, down: here && !state.down });
          table.querySelector(`[data-sort=${column.key}]`).focus();
        },
      }, title, make("span", { "aria-hidden": "true" }, here ? (state.down ? " ▼" : " ▲") : "")));
    }));
    const rows = shown.slice(0, state.rows).map((entry) => make("tr", {},
      make("th", { scope: "row", class: "name" }, make("a", { href: address(entry) }, entry.name), entry.reduced ? " (reduced)" : null),
      make("td", { class: "task" }, entry.task),
      make("td", { class: "converts" }, sign(entry.converts), answer(entry).replace(/^converts /, "")),
      make("td", { class: "parameters" }, entry.parameters ? quantity(entry.parameters) : ""),
      make("td", { class: "gflops" }, entry.gflops ? digits(entry.gflops, 3) : ""),
      make("td", { class: "latency" }, span(entry)),
    ));
    table.replaceChildren(make("table", { class: "entries" }, make("thead", {}, head), make("tbody", {}, ...rows)));
    const more = shown.length - state.rows;
    if (more > 0) {
      const words = `Show ${Math.min(more, 4 * STEP)} more of ${more}`;
      table.append(make("button", { type: "button", class: "more", onclick: () => set({ rows: state.rows + 4 * STEP }) }, words));
    }
  };

  // One entry.
  const open = (byUser) => {
    const name = decodeURIComponent(location.hash.slice(1));
    const entry = entries.find((each) => each.name === name);
    detail.replaceChildren();
    detail.hidden = !entry && !name.includes("/");
    if (detail.hidden) return;
    const close = make("a", { class: "close", href: "#catalogue" }, "Close");
    if (!entry) {
      detail.append(close, make("h2", {}, name), make("p", {}, "The catalogue has no entry of this name."));
    } else {
      const forecasts = Object.entries(entry.places).map(([chip, found]) => [
        chip, `forecast of ${spanOf(found, " ms")}, ${Math.round(100 * found[3])}% of the time on the Neural Engine`,
      ]);
      const last = entry.facts.findIndex(([label]) => label === "measured");
      const facts = entry.facts.toSpliced(last < 0 ? entry.facts.length : last, 0, ...forecasts).map(([label, words]) =>
        make("div", { class: "fact" }, make("dt", {}, label), make("dd", {}, label === "again" ? make("code", {}, words) : words)));
      detail.append(close, make("h2", {}, entry.name), make("p", { class: "answer" }, sign(entry.converts), entry.headline.replaceAll("`", "")), make("dl", {}, ...facts));
    }
    if (byUser) {
      detail.focus({ preventScroll: true });
    }
    detail.scrollIntoView({ block: "start" });
  };

  function draw() {
    const shown = chosen();
    count.textContent = `${shown.length} of ${entries.length} architectures`;
    paint(shown);
    fill(shown);
  }
  place.replaceChildren(controls, count, drawing, detail, table);
  draw();
  open(false);
  window.addEventListener("hashchange", () => open(true));
  let width = place.clientWidth;
  window.addEventListener("resize", () => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    draw();
  });
  document.documentElement.dataset.painted = "";
})();

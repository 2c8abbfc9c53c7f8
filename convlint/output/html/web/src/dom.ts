// Elements made from plain values. Text goes in as text, never as HTML.

type Attributes = Record<string, string | number | boolean | undefined>;
type Child = Element | string | undefined | false;

const SVG = "http://www.w3.org/2000/svg";

export function html(name: string, attributes: Attributes = {}, ...children: Child[]): HTMLElement {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  return fill(document.createElementNS(SVG, name) as SVGElement, attributes, children);
}

function fill<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Element | string => Boolean(child)));
  return element;
}

export function button(text: string, title: string, act: () => void): HTMLElement {
  const made = html("button", { type: "button", title, "aria-label": title }, text);
  made.addEventListener("click", act);
  return made;
}

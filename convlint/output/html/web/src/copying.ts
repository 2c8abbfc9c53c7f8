// A button beside each piece of code that a finding proposes, which copies what to write.

import { button } from "./dom";

const SHOWN = 1500;

export function addCopying(place: ParentNode): void {
  for (const code of place.querySelectorAll<HTMLElement>(".replacement pre")) {
    const lines = [...code.querySelectorAll(".after")].map((line) => (line.textContent ?? "").replace(/^\+ /, "").replace(/\n$/, ""));
    if (!lines.length) continue;
    const made = button("Copy", "Copy what to write instead", () => {
      void copy(lines.join("\n")).then((done) => {
        made.textContent = done ? "Copied" : "Not copied";
        setTimeout(() => (made.textContent = "Copy"), SHOWN);
      });
    });
    made.classList.add("copy");
    code.before(made);
  }
}

/** By the clipboard of the browser; where it refuses, as people did before there was one. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

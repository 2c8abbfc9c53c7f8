// Makes ../assets from src: one minified script, the style sheet, and the licences of what is in the script.
// Run by `npm ci && npm run bundle` here. The digest of the sources stands in the script's first line, and a
// test compares it with the sources, so that neither is changed without the other.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "assets");
const sources = ["package-lock.json", ...readdirSync(join(here, "src")).sort().map((name) => `src/${name}`)];
const digest = createHash("sha256");
for (const name of sources) digest.update(`${name}\n`).update(readFileSync(join(here, name)));

mkdirSync(assets, { recursive: true });
const common = { bundle: true, minify: true, charset: "ascii", legalComments: "none", absWorkingDir: here, logLevel: "warning" };
const script = await build({
  ...common,
  entryPoints: ["src/main.ts"],
  format: "iife",
  target: "es2022",
  write: false,
  metafile: true,
});
writeFileSync(join(assets, "picture.js"), `/* sources ${digest.digest("hex")} */\n${script.outputFiles[0].text}`);
const style = await build({ ...common, entryPoints: ["src/page.css"], write: false, target: "es2022" });
writeFileSync(join(assets, "page.css"), style.outputFiles[0].text);

const packages = new Set(
  Object.keys(script.metafile.inputs)
    .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
    .filter(Boolean),
);
const licences = [...packages].sort().map((name) => {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const text = readFileSync(join(folder, "LICENSE"), "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
writeFileSync(join(assets, "LICENSES.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));

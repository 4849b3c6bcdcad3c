// Joins what tsc has written into one file for pages that are served as they are:
//
//   node bundle.js dist ../../../sample/web/firefly.js
//
// It knows only what stands in src: modules that import one another by name from "./x.js", and export declarations.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const IMPORT = /^import .*? from "\.\/(\w+)\.js";\n/gm, EXPORT = /^export \{ (.*?) \} from "\.\/(\w+)\.js";\n/gm;
const [folder, into] = process.argv.slice(2);
const joined = new Set(), parts = [];

// join adds a module behind those that it needs.
function add(name) {
  if (joined.has(name)) return;
  joined.add(name);
  const text = readFileSync(join(folder, `${name}.js`), "utf8");
  for (const [, needed] of text.matchAll(IMPORT)) add(needed);
  parts.push(text.replace(IMPORT, "").replace(/^export /gm, "").trim());
}

const index = readFileSync(join(folder, "index.js"), "utf8"), names = [];
for (const [, exported, module] of index.matchAll(EXPORT)) {
  add(module);
  names.push(...exported.split(", "));
}
const head = index.replace(EXPORT, "").trim();
const origin = "// Made of gate/client/ts by `npm run build` there; change it there.";
writeFileSync(into, [head, origin, ...parts, `export { ${names.sort().join(", ")} };`, ""].join("\n\n").replace(/\n+$/, "\n"));

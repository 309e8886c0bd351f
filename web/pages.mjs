// Bundles the pages into the Python package, where the server finds them: web/packages/<page> → server/static/<page>,
// with a first page that links to them.

import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const PAGES = ["debug", "console"];
const here = fileURLToPath(new URL(".", import.meta.url));
const destination = fileURLToPath(new URL("../python/sanderling/server/static/", import.meta.url));

await rm(destination, { recursive: true, force: true });
await mkdir(destination, { recursive: true });
await copyFile(`${here}index.html`, `${destination}index.html`);
await copyFile(`${here}page.css`, `${destination}page.css`);
for (const page of PAGES) {
  const folder = `${destination}${page}/`;
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [`${here}packages/${page}/dist/main.js`],
    outfile: `${folder}main.js`,
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    logLevel: "warning",
  });
  // Beside the page's script, where the SDK looks for it.
  await build({
    entryPoints: [`${here}packages/sdk/dist/sei-worker.js`],
    outfile: `${folder}sei-worker.js`,
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    logLevel: "warning",
  });
  await copyFile(`${here}page.css`, `${folder}page.css`);
  for (const style of (await readdir(`${here}packages/${page}`)).filter((name) => name.endsWith(".css"))) {
    await copyFile(`${here}packages/${page}/${style}`, `${folder}${style}`);
  }
  await copyFile(`${here}packages/${page}/index.html`, `${folder}index.html`);
}

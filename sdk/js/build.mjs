// Builds dist: an ES module, a file for a script tag, both for a service worker
// too, and types. The server
// embeds the scripts; `node build.mjs DIR` writes only them, to DIR.
import { execFileSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { createRequire } from "node:module"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const here = path.dirname(fileURLToPath(import.meta.url))
const embedded = path.join(here, "../../internal/jssdk/dist")
const folders = process.argv[2] ? [path.resolve(process.argv[2])] : [embedded, path.join(here, "dist")]

for (const folder of folders) {
  mkdirSync(folder, { recursive: true })
  const common = {
    entryPoints: [path.join(here, "src/index.ts")],
    absWorkingDir: here,
    bundle: true,
    minify: true,
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    banner: { js: "/* @herald-push/sdk, Apache-2.0 */" },
    tsconfigRaw: { compilerOptions: { target: "ES2022", useDefineForClassFields: true } },
  }
  await build({ ...common, format: "esm", outfile: path.join(folder, "herald.mjs") })
  await build({ ...common, entryPoints: [path.join(here, "src/script.ts")], format: "iife", outfile: path.join(folder, "herald.js") })
  await build({ ...common, entryPoints: [path.join(here, "src/worker.ts")], format: "esm", outfile: path.join(folder, "herald-sw.mjs") })
  await build({ ...common, entryPoints: [path.join(here, "src/worker-script.ts")], format: "iife", outfile: path.join(folder, "herald-sw.js") })
}

if (!process.argv[2]) {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc")
  execFileSync(process.execPath, [tsc, "-p", here], { stdio: "inherit" })
}

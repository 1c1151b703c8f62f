// Bundles the two clients. The generated code has no package of its own: it gets the packages of this folder.
import { build } from "esbuild";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const packagesFromHere = {
  name: "packages-from-here",
  setup(steps) {
    steps.onResolve({ filter: /^@(bufbuild|connectrpc)\// }, (asked) =>
      asked.resolveDir.startsWith(here) ? undefined : steps.resolve(asked.path, { resolveDir: here, kind: asked.kind }),
    );
  },
};
const shared = { bundle: true, format: "esm", target: "es2022", logLevel: "warning", plugins: [packagesFromHere] };

await build({ ...shared, absWorkingDir: here, entryPoints: ["src/node.ts"], platform: "node", outfile: "build/node.mjs" });
await build({ ...shared, absWorkingDir: here, entryPoints: ["src/page.ts"], platform: "browser", outfile: "build/page.js" });

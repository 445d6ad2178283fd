// The interpreter, with the project's files and what Cloudflare's SDK imports from its runtime.
import * as sockets from "cloudflare:sockets";
import * as workers from "cloudflare:workers";
import { HOME, withFiles } from "platform.mjs";
import project from "project.tar";
import createPyodideModule from "pyodide.asm.mjs";
import { loadPyodide } from "pyodide.mjs";
import lockFileContents from "pyodide-lock.json";
import stdlib from "python_stdlib.zip";
import sources from "sources.tar";
import { files } from "tar.mjs";

const FOLDER = "/session";

const RUNTIME = {
  _cloudflare_compat_flags: {
    python_request_headers_preserve_commas: true,
    python_workflows_implicit_dependencies: true,
  },
  _pyodide_entrypoint_helper: {
    cloudflareSocketsModule: sockets,
    cloudflareWorkersModule: workers,
    doAnImport: (name) => import(name),
    patchWaitUntil: () => {},
    patch_env_helper: () => {
      throw new Error("the harness cannot replace env");
    },
  },
};

/** Pyodide, without a snapshot of its memory, from one, or such that one can be taken of it. */
export async function interpreter(snapshot) {
  const python = await withFiles({ "python_stdlib.zip": stdlib, "pyodide.asm.wasm": null }, () =>
    loadPyodide({
      _loadSnapshot: snapshot,
      _makeSnapshot: !snapshot,
      _snapshotDeserializer: (name) => RUNTIME[name],
      createPyodideModule,
      env: { HOME: FOLDER, PYTHONPATH: `${FOLDER}:${FOLDER}/python_modules` },
      fsInit: unpack,
      indexURL: HOME,
      lockFileContents,
      packageBaseUrl: HOME,
    }),
  );
  if (!snapshot) for (const [name, module] of Object.entries(RUNTIME)) python.registerJsModule(name, module);
  return python;
}

/** The memory of an interpreter; what it has of the runtime is stored by its name. */
export function snapshotOf(python) {
  return python.makeMemorySnapshot({
    serializer: (value) => Object.keys(RUNTIME).find((name) => RUNTIME[name] === value),
  });
}

async function unpack(filesystem) {
  for (const archive of [sources, project]) {
    for (const [path, content] of files(archive)) {
      const to = `${FOLDER}/${path}`;
      filesystem.mkdirTree(to.slice(0, to.lastIndexOf("/")));
      filesystem.writeFile(to, content, { canOwn: true });
    }
  }
}

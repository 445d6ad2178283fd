// What Pyodide expects of a platform and workerd does not give: import this before Pyodide.
//
// The interpreter itself is a module that workerd compiled. The small modules that Pyodide makes as it runs, and compiled wheels,
// go through the binding unsafeEval, which only workerd has.
//
// Nothing here waits for a thread or for I/O. V8 compiles in a thread of its own when it is asked for a promise, which workerd does
// not know of: a request that waits for nothing else is taken for hung, and canceled.
import { env } from "cloudflare:workers";
import interpreter from "pyodide.asm.wasm";

/** Where Pyodide believes it was loaded from. Nothing is fetched there. */
export const HOME = "http://pyodide.invalid/";

const { Module } = WebAssembly;
const instantiate = WebAssembly.instantiate.bind(WebAssembly);

globalThis.location ??= new URL(HOME);

const { addEventListener } = globalThis;
globalThis.addEventListener = (type, listener) => addEventListener.call(globalThis, type, listener); // capture is refused

WebAssembly.Module = new Proxy(Module, {
  construct: (_, [bytes]) => env.UNSAFE_EVAL.newWasmModule(bytes),
});

WebAssembly.compile = async (bytes) => new WebAssembly.Module(bytes);

WebAssembly.instantiate = async (source, imports) => {
  if (source instanceof Module) return instantiate(source, imports);
  const module = await WebAssembly.compile(source);
  return { module, instance: await instantiate(module, imports) };
};

WebAssembly.instantiateStreaming = async (response, imports) => {
  await response; // says only which file is wanted, and Pyodide wants one
  return { module: interpreter, instance: await instantiate(interpreter, imports) };
};

/** Run `load` with a `fetch` that has these files, by the last part of their address, and no others. */
export async function withFiles(files, load) {
  const { fetch } = globalThis;
  globalThis.fetch = async (address) => {
    const name = new URL(address).pathname.slice(1);
    if (!(name in files)) throw new Error(`Pyodide asks for ${address}`);
    return { ok: true, arrayBuffer: async () => files[name] }; // to read a Response would be I/O
  };
  try {
    return await load();
  } finally {
    globalThis.fetch = fetch;
  }
}

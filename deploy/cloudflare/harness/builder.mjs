// What bundle.py asks for when it prepares a project: which modules it imports, bytecode, a snapshot of a warm interpreter.
import { interpreter, snapshotOf } from "python.mjs";

let loading;

export default {
  async fetch(request) {
    loading ??= interpreter();
    const python = await loading;
    switch (new URL(request.url).pathname) {
      case "/modules":
        return Response.json(python.pyimport("prepare").modules().toJs());
      case "/bytecode":
        return new Response(python.pyimport("prepare").bytecode().toJs());
      case "/snapshot": {
        const names = python.toPy(await request.json());
        python.pyimport("prepare").load(names);
        names.destroy();
        return new Response(snapshotOf(python));
      }
      default:
        return new Response(null, { status: 404 });
    }
  },
};

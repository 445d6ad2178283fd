# Both contenders, a constant each. The address and the data directory come from the command line.

using Workerd = import "/workerd/workerd.capnp";

const array :Workerd.Config = (services = [.data, (name = "worker", worker = .arrayWorker)], sockets = [.http]);
const rows :Workerd.Config = (services = [.data, (name = "worker", worker = .rowsWorker)], sockets = [.http]);

const data :Workerd.Service = (name = "data", disk = (writable = true));
const http :Workerd.Socket = (name = "http", service = "worker", http = ());

const arrayWorker :Workerd.Worker = (
  modules = [(name = "array.js", esModule = embed "array.js"), .wall],
  durableObjectNamespaces = [(className = "ArrayWall", uniqueKey = "array", enableSql = true)],
  bindings = [(name = "WALL", durableObjectNamespace = "ArrayWall")],
  durableObjectStorage = (localDisk = "data"),
  compatibilityDate = "2026-10-01",
);

const rowsWorker :Workerd.Worker = (
  modules = [(name = "rows.js", esModule = embed "rows.js"), .wall],
  durableObjectNamespaces = [(className = "RowsWall", uniqueKey = "rows", enableSql = true)],
  bindings = [(name = "WALL", durableObjectNamespace = "RowsWall")],
  durableObjectStorage = (localDisk = "data"),
  compatibilityDate = "2026-10-01",
);

const wall :Workerd.Worker.Module = (name = "wall.js", esModule = embed "wall.js");

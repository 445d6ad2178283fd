"""How workerd is configured for one worker."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CLIENT = '(name = "CF-Connecting-IP", value = "127.0.0.1")'
"""Cloudflare's network gives each request this header, whatever the client sent; workerd does not know the address."""
_NOT_NODE = ("no_nodejs_compat", "no_nodejs_compat_v2")
"""Without these flags Pyodide believes that it is in Node.js."""


@dataclass(frozen=True, kw_only=True)
class Assets:
    """Files that are served without the worker, as Cloudflare does."""

    binding: str
    folder: Path
    rules: Mapping[str, object]
    """The rest of ``assets`` in ``wrangler.jsonc``."""

    def service(self) -> str:
        """The service that serves them, or asks the worker."""
        headers = self.folder / "_headers"
        rules = {**self.rules, "headers": headers.read_text(encoding="utf-8") if headers.exists() else ""}
        what = f'path = {_quoted(str(self.folder.resolve()))}, config = {_quoted(json.dumps(rules))}, userWorker = "worker"'
        return f'(name = "assets", assets = ({what}))'


@dataclass(frozen=True, kw_only=True)
class Config:
    """A worker, as workerd is configured for it."""

    modules: Mapping[str, Path]
    """The files of its modules by their names; the first one is the entry."""
    compatibility_date: str
    compatibility_flags: Sequence[str] = ()
    objects: Mapping[str, str] = field(default_factory=dict)
    """Its Durable Object classes by their bindings."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Bindings that are text."""
    environment: Sequence[str] = ()
    """Bindings that have the value of the environment variable of their name, when workerd is started."""
    assets: Assets | None = None

    def text(self) -> str:
        """The configuration file; all files in it are named from the root of the file system."""
        bindings = [
            '(name = "UNSAFE_EVAL", unsafeEval = void)',
            *(f"(name = {_quoted(name)}, durableObjectNamespace = {_quoted(of)})" for name, of in self.objects.items()),
            *(f"(name = {_quoted(name)}, text = {_quoted(value)})" for name, value in self.variables.items()),
            *(f"(name = {_quoted(name)}, fromEnvironment = {_quoted(name)})" for name in self.environment),
        ]
        services = ['(name = "data", disk = (writable = true))', '(name = "worker", worker = .worker)']
        entry = "worker"
        if self.assets:
            bindings.append(f'(name = {_quoted(self.assets.binding)}, service = (name = "assets", entrypoint = "AssetWorker"))')
            services.append(self.assets.service())
            entry = "assets"
        objects = [f"(className = {_quoted(of)}, uniqueKey = {_quoted(of)}, enableSql = true)" for of in self.objects.values()]
        modules = [
            f"(name = {_quoted(name)}, {_kind(name)} = embed {_quoted(str(file.resolve()))})"
            for name, file in self.modules.items()
        ]
        return f"""\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [{", ".join(services)}],
  sockets = [(name = "http", http = (injectRequestHeaders = [{_CLIENT}]), service = "{entry}")],
);
const worker :Workerd.Worker = (
  modules = [{", ".join(modules)}],
  bindings = [{", ".join(bindings)}],
  durableObjectNamespaces = [{", ".join(objects)}],
  durableObjectStorage = (localDisk = "data"),
  compatibilityDate = {_quoted(self.compatibility_date)},
  compatibilityFlags = [{", ".join(map(_quoted, (*self.compatibility_flags, *_NOT_NODE)))}],
);
"""


def _kind(name: str) -> str:
    kinds = {".mjs": "esModule", ".wasm": "wasm", ".json": "json"}
    return kinds.get(Path(name).suffix, "data")


def _quoted(text: str) -> str:
    """A string of Cap'n Proto's text format, which has JSON's escapes but for those of four digits: so it stays UTF-8."""
    return json.dumps(text, ensure_ascii=False)

"""Print the packages that a Home Assistant without internet needs before its first start, one requirement a line.

It would install them itself while running.  Run with the interpreter that has `homeassistant`; name integrations to add
to those that a plain start loads.
"""

from __future__ import annotations

import ast
import json
import sys
from importlib.util import find_spec
from pathlib import Path


def find_core() -> Path:
    """The folder of the installed package, found without importing it."""
    spec = find_spec("homeassistant")
    if spec is None or spec.origin is None:
        raise SystemExit("there is no Home Assistant in this environment")
    return Path(spec.origin).parent


def started_integrations(core: Path) -> set[str]:
    """The names in the sets of `bootstrap.py` that are called ..._INTEGRATIONS..."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((core / "bootstrap.py").read_text("utf-8"))):
        if isinstance(node, ast.Assign) and any("INTEGRATIONS" in ast.unparse(target) for target in node.targets):
            constants = (leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant))
            names.update(value for value in constants if isinstance(value, str))
    return names


def requirements(core: Path, roots: set[str]) -> set[str]:
    """What the manifests of `roots`, and of all they depend on, ask for."""
    needed: set[str] = set()
    waiting, seen = list(roots), set(roots)
    while waiting:
        path = core / "components" / waiting.pop() / "manifest.json"
        if not path.is_file():
            continue
        manifest = json.loads(path.read_text("utf-8"))
        needed.update(manifest.get("requirements", ()))
        new = set(manifest.get("dependencies", ())) - seen
        seen |= new
        waiting += new
    return needed


if __name__ == "__main__":
    found = find_core()
    # The MQTT integration imports the one for the supervisor without depending on it.
    roots = {"mqtt", "hassio", *sys.argv[1:]} | started_integrations(found)
    sys.stdout.write("\n".join(sorted(requirements(found, roots))) + "\n")

"""Virtual sensors with the Bluetooth behaviour of real ones.  One file, one family; found by looking into this folder.

A family's module has a constant `KINDS`, a tuple of subclasses of `VirtualSensor`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from posturewatch_sim.peripherals.virtual import VirtualSensor


def discover() -> dict[str, type[VirtualSensor]]:
    """All kinds of sensors by name."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {kind.kind: kind for module in modules for kind in getattr(module, "KINDS", ())}

"""A calibration's samples straight from a virtual sensor, as without a daemon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posturewatch.calibrating.streams import open_sensor
from posturewatch.config import load
from posturewatch.core.calibration import find_pose_faults


@pytest.mark.asyncio
async def test_a_connected_sensor_is_held_for_the_poses_and_let_go(
    on_the_air: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "posturewatch.toml"
    async with on_the_air("polar_h10") as air:
        sensor = air.sensor("polar_h10")
        path.write_text(
            f'[bluetooth]\nradio = "hci:unix:{air.port.path}"\n[[wearer]]\nid = "me"\n[[wearer.sensor]]\nid = "chest"\n'
            f'placement = "chest"\nsource = "ble"\nfamily = "polar"\naddress = "{sensor.address}"\n'
        )
        async with open_sensor(load(path, {}), "chest") as stream:
            parts = [await stream.glimpse(0.5) for _ in range(3)]
            assert any(event["event"] == "connected" for event in air.events)
        assert sum(part.seconds for part in parts) >= 1.5
        pose = parts[-1].measure()
        assert "not_gravity" not in find_pose_faults(pose)
        await air.until(lambda: any(event["event"] == "disconnected" for event in air.events))

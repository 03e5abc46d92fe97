"""Radios by name, before anything is opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from posturewatch.errors import ConfigError
from posturewatch.radio import check_name, open_radio


@pytest.mark.parametrize(
    "name", ["", "bluez:", "usb:0", "hci", "hci:", "hci:udp:127.0.0.1:1", "hci:unix:", "hci:nothing:1"]
)
def test_a_radio_that_cannot_be_meant_is_named(name):
    with pytest.raises(ConfigError, match="allowed are bluez"):
        check_name(name)


@pytest.mark.asyncio
async def test_bluez_gets_its_adapter_and_repeats_advertisements_that_do_not_change():
    async with open_radio("bluez:hci1") as radio:
        assert radio.is_bluez
        assert radio.scanner_arguments == {"bluez": {"adapter": "hci1", "filters": {"DuplicateData": True}}}
        assert radio.client_arguments == {"bluez": {"adapter": "hci1"}}


@pytest.mark.asyncio
@pytest.mark.parametrize("acquire_notify", [False, True])
async def test_bluez_hands_notifications_over_as_messages_unless_a_socket_is_wanted(acquire_notify):
    async with open_radio(acquire_notify=acquire_notify) as radio:
        assert radio.notify_arguments == {"bluez": {"use_start_notify": not acquire_notify}}


def test_without_the_extra_the_radio_names_it(tmp_path: Path):
    code = """
import asyncio, sys
sys.modules["bumble"] = None
from posturewatch.errors import MissingExtra
from posturewatch.radio import open_radio
async def main():
    async with open_radio("hci:unix:nowhere"):
        pass
try:
    asyncio.run(main())
except MissingExtra as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "pip install 'posturewatch[sim]'" in said.stdout

"""The published schemas and the page about MQTT are those of the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema

from posturewatch.drivers.gateway import decode
from posturewatch.publishing.messages import json_schemas
from posturewatch.publishing.payloads import HAPPENINGS, MESSAGES, PLAIN_WORDS, WearerState
from posturewatch.requests.commands import Address, LocalTime, read_payload, to_command

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "mqtt.md"
ADDRESSES = {"command": Address("anna", "do", "hold"), "setting": Address("anna", "set", "static_limit_min")}


def test_the_schemas_in_the_documentation_are_in_step(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "posturewatch.publishing.messages", str(tmp_path)], check=True, cwd=tmp_path)
    written = {path.name: path.read_text() for path in tmp_path.glob("*.json")}
    kept = {path.name: path.read_text() for path in (ROOT / "docs" / "schemas").glob("*.json")}
    assert kept == written, "run: python -m posturewatch.publishing.messages docs/schemas"


def test_the_page_names_every_topic_key_and_event() -> None:
    text = PAGE.read_text()
    for topic in (*(m[2] for m in MESSAGES), *(p[1] for p in PLAIN_WORDS)):
        named = topic.replace("{wearer}", "<id>").replace("{sensor}", "<id>").replace("{", "<").replace("}", ">")
        assert f"`<base>/{named}`" in text
    for key in WearerState.model_fields:
        assert f"`{key}`" in text
    for event in HAPPENINGS:
        assert f"`{event}`" in text


def test_the_examples_of_the_page_follow_the_schemas() -> None:
    examples = re.findall(r"```json (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert {name for name, _ in examples} == {name for name, *_ in MESSAGES}
    for name, text in examples:
        payload = json.loads(text)
        jsonschema.validate(payload, json_schemas()[name])
        if name == "samples":
            assert len(decode(text.encode(), {}).acc_10ug) >= 1
        if name in ADDRESSES:
            assert (
                to_command(ADDRESSES[name], read_payload(text.encode()), LocalTime(0)).request == payload["transaction"]
            )

"""The generated files are those that the messages give, and they describe the messages."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sanderling.signaling import messages

ROOT = Path(__file__).resolve().parent.parent.parent
generator: dict[str, Any] = runpy.run_path(str(ROOT / "build/schema.py"))


def test_the_schema_is_the_generated_one() -> None:
    assert (ROOT / "schema/signaling.schema.json").read_text() == generator["schema_text"]()


def test_the_typescript_types_are_the_generated_ones() -> None:
    assert (ROOT / "web/packages/protocol/src/messages.ts").read_text() == generator["types_text"]()


@pytest.mark.parametrize("union", ["ClientMessage", "ServerMessage"])
def test_every_message_is_in_the_schema(union: str) -> None:
    schema = json.loads((ROOT / "schema/signaling.schema.json").read_text())
    listed = {entry["$ref"].rsplit("/", 1)[1] for entry in schema["$defs"][union]["anyOf"]}
    declared = {member.__name__ for member in getattr(messages, union).__args__}
    assert listed == declared
    for name in declared:
        definition = schema["$defs"][name]
        fields = {field.encode_name for field in msgspec.structs.fields(getattr(messages, name))}
        assert set(definition["properties"]) == fields | {"type"}
        assert definition["description"], "the schema explains every message"


def test_every_message_is_in_the_protocol_document() -> None:
    text = (ROOT / "docs/protocol.md").read_text()
    tags = [
        member.__struct_config__.tag
        for union in (messages.ClientMessage, messages.ServerMessage)
        for member in union.__args__
    ]
    assert [tag for tag in tags if not re.search(rf"\b{tag}\b", text)] == []

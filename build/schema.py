"""Generate the JSON schema and the TypeScript types of the signalling protocol from the Python messages.

build/schema.py            write schema/signaling.schema.json and web/packages/protocol/src/messages.ts
build/schema.py --check    write nothing, exit 1 when a file differs from what would be written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from sanderling.signaling import messages
from sanderling.signaling.codec import MAX_MESSAGE_BYTES

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "schema/signaling.schema.json"
TYPES = ROOT / "web/packages/protocol/src/messages.ts"

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALARS = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean"}

Schema = dict[str, Any]


def schema() -> Schema:
    """The JSON schema: one definition per message and value, and the two unions."""
    unions = (messages.ClientMessage, messages.ServerMessage)
    (client, server), components = msgspec.json.schema_components(unions, ref_template="#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "$id": "signaling.schema.json",
        "title": f"Sanderling signalling, protocol version {messages.PROTOCOL_VERSION}",
        "description": f"Every message is one JSON object of at most {MAX_MESSAGE_BYTES} bytes (docs/protocol.md).",
        "anyOf": [{"$ref": "#/$defs/ClientMessage"}, {"$ref": "#/$defs/ServerMessage"}],
        "$defs": {**components, "ClientMessage": client, "ServerMessage": server},
    }


def schema_text() -> str:
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _reference(field: Schema) -> str | None:
    """Name of the definition that ``field`` refers to, alone or beside a default."""
    for candidate in (field, *field.get("anyOf", ())):
        if "$ref" in candidate:
            return str(candidate["$ref"]).rsplit("/", 1)[1]
    return None


def _type(field: Schema) -> str:
    if "enum" in field:
        return " | ".join(json.dumps(value) for value in field["enum"])
    name = _reference(field)
    if name is not None:
        return name
    if field["type"] == "array":
        return f"readonly {_type(field['items'])}[]"
    return SCALARS[field["type"]]


def _shape(field: Schema) -> str:
    """The same type as a value that the codec checks against: "integer", "User", "User[]", …"""
    if "enum" in field:
        return "string"
    name = _reference(field)
    if name is not None:
        return name
    if field["type"] == "array":
        return f"{_shape(field['items'])}[]"
    return str(field["type"])


def _interface(name: str, definition: Schema) -> list[str]:
    required = set(definition.get("required", ()))
    text = " ".join(definition.get("description", "").split())
    lines = [f"/** {text} */", f"export interface {name} {{"]
    for key, field in definition["properties"].items():
        lines.append(f"  readonly {key}{'' if key in required else '?'}: {_type(field)};")
    return [*lines, "}", ""]


def _shapes(name: str, definition: Schema) -> list[str]:
    required = [key for key in definition.get("required", ()) if key != "type"]
    fields = ", ".join(
        f'{key}: "{_shape(f)}"' for key, f in definition["properties"].items() if key != "type"
    )
    return [
        f"  {name}: {{",
        f"    required: [{', '.join(json.dumps(key) for key in required)}],",
        f"    fields: {{ {fields} }},",
        "  },",
    ]


def _union(name: str, union: Schema) -> list[str]:
    members = [str(entry["$ref"]).rsplit("/", 1)[1] for entry in union["anyOf"]]
    return [f"export type {name} =", *(f"  | {member}" for member in members[:-1]), f"  | {members[-1]};", ""]


def _types_by_tag(name: str, union: Schema, definitions: Schema) -> list[str]:
    lines = [f"export const {name}: Readonly<Record<string, string>> = {{"]
    for entry in union["anyOf"]:
        member = str(entry["$ref"]).rsplit("/", 1)[1]
        tag = definitions[member]["properties"]["type"]["enum"][0]
        lines.append(f'  {tag}: "{member}",')
    return [*lines, "};", ""]


def types_text() -> str:
    """The TypeScript module: an interface per definition, the unions, and the tables the codec checks with."""
    definitions: Schema = schema()["$defs"]
    client, server = definitions.pop("ClientMessage"), definitions.pop("ServerMessage")
    lines = [
        "// Generated from python/sanderling/signaling/messages.py by `make schema`. Change that file instead.",
        "",
        f"export const PROTOCOL_VERSION = {messages.PROTOCOL_VERSION};",
        "",
        "/** No message larger than this, as UTF-8, is sent or decoded. */",
        f"export const MAX_MESSAGE_BYTES = {MAX_MESSAGE_BYTES};",
        "",
    ]
    for name, definition in definitions.items():
        lines += _interface(name, definition)
    lines += _union("ClientMessage", client) + _union("ServerMessage", server)
    lines += [
        "/** What the codec checks of a definition: a field is a JSON type, a definition, or a list ([]) of either. */",
        "export interface Shape {",
        "  readonly required: readonly string[];",
        "  readonly fields: Readonly<Record<string, string>>;",
        "}",
        "",
        "export const SHAPES: Readonly<Record<string, Shape>> = {",
    ]
    for name, definition in definitions.items():
        lines += _shapes(name, definition)
    lines += ["};", ""]
    lines += ["/** Message type on the wire to definition, of what clients send. */"]
    lines += _types_by_tag("CLIENT_TYPES", client, definitions)
    lines += ["/** Message type on the wire to definition, of what servers send. */"]
    lines += _types_by_tag("SERVER_TYPES", server, definitions)
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    stale = 0
    for path, text in ((SCHEMA, schema_text()), (TYPES, types_text())):
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} differs from messages.py; run 'make schema'", file=sys.stderr)
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

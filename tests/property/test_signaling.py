"""The codec gives back what it was given, and answers everything else with its one documented error."""

from __future__ import annotations

import json
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.signaling import codec, messages

VECTORS = Path(__file__).resolve().parent.parent.parent / "vectors/signaling"
CLIENT = get_args(messages.ClientMessage)
SERVER = get_args(messages.ServerMessage)

# Numbers a 64-bit JSON reader takes; text that JSON can carry (no lone surrogates).
NUMBERS = st.integers(min_value=-(2**63), max_value=2**64 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if hint is int:
        return NUMBERS
    if hint is str:
        return TEXTS
    if hint is bool:
        return st.booleans()
    if hint is bytes:
        return st.binary(max_size=40)
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=3).map(tuple)
    if isinstance(hint, UnionType):
        return st.one_of([values(member) for member in get_args(hint)])
    return structs(hint)


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    fields = {field.name: values(hints[field.name]) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


def vectors(name: str) -> list[Any]:
    return json.loads((VECTORS / f"{name}.json").read_text())


@given(st.one_of([structs(kind) for kind in CLIENT]))
def test_client_messages_survive(message: messages.ClientMessage) -> None:
    assert codec.decode_client(codec.encode(message)) == message


@given(st.one_of([structs(kind) for kind in SERVER]))
def test_server_messages_survive(message: messages.ServerMessage) -> None:
    assert codec.decode_server(codec.encode(message)) == message


def decodes_or_is_refused(data: bytes | str) -> None:
    for decode in (codec.decode_client, codec.decode_server):
        try:
            decode(data)
        except SanderlingError as error:
            assert error.code == ErrorCode.ILLEGAL_PARAMETER


@given(st.binary(max_size=200))
def test_junk_is_refused_with_its_code(data: bytes) -> None:
    decodes_or_is_refused(data)


@given(st.text(max_size=200))
def test_junk_text_is_refused_with_its_code(data: str) -> None:
    decodes_or_is_refused(data)


@given(
    st.sampled_from([message["type"] for name in ("client", "server") for message in vectors(name)]),
    st.dictionaries(
        st.sampled_from(["seq", "user", "users", "streams", "offer", "app_id", "stream_id", "config"]),
        st.recursive(st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False) | TEXTS, st.lists),
    ),
)
def test_wrong_fields_are_refused_with_their_code(tag: str, fields: dict[str, Any]) -> None:
    decodes_or_is_refused(json.dumps({"type": tag, **fields}))


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(SanderlingError):
        codec.decode_client('{"type":"logout","seq":1,"x":' + "[" * depth + "]" * depth + "}")


@pytest.mark.parametrize("to", ["client", "server"])
def test_there_is_a_vector_for_every_message(to: str) -> None:
    kinds = CLIENT if to == "client" else SERVER
    assert {message["type"] for message in vectors(to)} == {kind.__struct_config__.tag for kind in kinds}


@pytest.mark.parametrize("message", vectors("client"), ids=lambda message: message["type"])
def test_a_client_vector_means_the_same_after_decoding(message: dict[str, Any]) -> None:
    decoded = codec.decode_client(json.dumps(message))
    assert json.loads(codec.encode(decoded)) == message


@pytest.mark.parametrize("message", vectors("server"), ids=lambda message: message["type"])
def test_a_server_vector_means_the_same_after_decoding(message: dict[str, Any]) -> None:
    decoded = codec.decode_server(json.dumps(message))
    assert json.loads(codec.encode(decoded)) == message


@pytest.mark.parametrize("bad", vectors("bad"), ids=lambda bad: f"{bad['to']}-{bad['name']}")
def test_a_bad_vector_is_refused(bad: dict[str, str]) -> None:
    decode = codec.decode_client if bad["to"] == "server" else codec.decode_server
    with pytest.raises(SanderlingError) as caught:
        decode(bad["text"])
    assert caught.value.code == ErrorCode.ILLEGAL_PARAMETER


def test_the_size_limit_counts_bytes() -> None:
    def publish(length: int) -> messages.Publish:
        return messages.Publish(seq=1, stream_id="film", offer="é" * length)

    codec.encode(publish(codec.MAX_MESSAGE_BYTES // 2 - 100))
    with pytest.raises(SanderlingError, match="allowed"):
        codec.encode(publish(codec.MAX_MESSAGE_BYTES // 2))
    with pytest.raises(SanderlingError, match="allowed"):
        codec.decode_client(msgspec.json.encode(publish(codec.MAX_MESSAGE_BYTES // 2)))
    # Text is measured as what it is on the wire.
    with pytest.raises(SanderlingError, match="allowed"):
        codec.decode_client(msgspec.json.encode(publish(codec.MAX_MESSAGE_BYTES // 2)).decode())

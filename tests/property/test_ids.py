"""Identifiers: whatever is passed is either accepted unchanged or refused with a documented code."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sanderling import ids
from sanderling.errors import ErrorCode, SanderlingError

TEXTS = st.text(max_size=300) | st.text(st.characters(codec="ascii"), max_size=300)
ROOM = {ErrorCode.ROOM_ID_EMPTY, ErrorCode.ROOM_ID_TOO_LONG, ErrorCode.ROOM_ID_INVALID_CHARACTER}
USER = {
    ErrorCode.USER_ID_EMPTY, ErrorCode.USER_ID_TOO_LONG, ErrorCode.USER_ID_INVALID_CHARACTER,
    ErrorCode.USER_NAME_EMPTY, ErrorCode.USER_NAME_TOO_LONG, ErrorCode.USER_NAME_INVALID_CHARACTER,
}  # fmt: skip
STREAM = {ErrorCode.STREAM_ID_EMPTY, ErrorCode.STREAM_ID_TOO_LONG, ErrorCode.STREAM_ID_INVALID_CHARACTER}


@given(TEXTS)
def test_a_room_id_is_accepted_or_refused_with_its_code(value: str) -> None:
    try:
        assert ids.parse_room_id(value) == value
        assert len(value.encode()) <= ids.MAX_ROOM_ID
    except SanderlingError as error:
        assert error.code in ROOM


@given(TEXTS, TEXTS)
def test_a_user_is_accepted_or_refused_with_its_code(user_id: str, user_name: str) -> None:
    try:
        assert ids.parse_user(user_id, user_name) == user_id
        assert len(user_id.encode()) <= ids.MAX_USER_ID
    except SanderlingError as error:
        assert error.code in USER


@given(TEXTS)
def test_a_stream_id_is_accepted_or_refused_with_its_code(value: str) -> None:
    try:
        assert ids.parse_stream_id(value) == value
        assert len(value.encode()) <= ids.MAX_STREAM_ID
    except SanderlingError as error:
        assert error.code in STREAM


@given(st.integers())
def test_an_app_id_is_accepted_or_refused_with_its_code(value: int) -> None:
    try:
        assert ids.parse_app_id(value) == value
        assert 0 < value < 2**32
    except SanderlingError as error:
        assert error.code in {ErrorCode.APP_ID_ZERO, ErrorCode.APP_ID_INCORRECT}

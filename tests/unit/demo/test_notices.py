"""Notices become reports; errors and ends are told apart."""

from __future__ import annotations

import io

import pytest

from sanderling import PlayError, PublishError, RoomError, Stream, User
from sanderling.demo import reports
from sanderling.demo.notices import Notices
from sanderling.demo.participant import Reporter
from sanderling.enums import PlayerState, PublisherState, RoomStateReason, UpdateType


class Heard:
    """Notices and what they reported."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self.notices = Notices(Reporter(self._out, lambda: None))

    @property
    def reports(self) -> list[reports.Report]:
        return [reports.decode(line) for line in self._out.getvalue().splitlines()]


async def test_states_are_reported_by_name_and_code() -> None:
    heard = Heard()
    heard.notices.on_room_state_changed("demo", RoomStateReason.LOGINED, 0, {})
    heard.notices.on_publisher_state_update("s", PublisherState.PUBLISHING, 0, {})
    heard.notices.on_player_state_update("s", PlayerState.PLAY_REQUESTING, 0, {})
    assert heard.reports == [
        reports.RoomStateChanged("LOGINED"),
        reports.PublisherStateChanged("PUBLISHING"),
        reports.PlayerStateChanged("PLAY_REQUESTING"),
    ]
    assert not heard.notices.over.done()
    heard.notices.raise_error()


async def test_only_added_streams_are_waited_for() -> None:
    heard = Heard()
    stream = Stream("film", User("host", "Host"))
    heard.notices.on_room_stream_update("demo", UpdateType.DELETE, [stream], {})
    assert heard.notices.streams.empty()
    heard.notices.on_room_stream_update("demo", UpdateType.ADD, [stream], {})
    assert heard.notices.streams.get_nowait() == "film"


async def test_a_normal_end_is_no_error() -> None:
    heard = Heard()
    heard.notices.on_player_state_update("s", PlayerState.NO_PLAY, 0, {})
    assert heard.notices.over.done()
    heard.notices.raise_error()


async def test_errors_end_the_session_once_with_their_family_and_code() -> None:
    for call, family, code in (
        (
            lambda n: n.on_room_state_changed("demo", RoomStateReason.KICK_OUT, 1002050, {}),
            RoomError,
            1002050,
        ),
        (
            lambda n: n.on_publisher_state_update("s", PublisherState.NO_PUBLISH, 1003028, {}),
            PublishError,
            1003028,
        ),
        (lambda n: n.on_player_state_update("s", PlayerState.NO_PLAY, 1004072, {}), PlayError, 1004072),
    ):
        heard = Heard()
        call(heard.notices)
        heard.notices.on_player_state_update("s", PlayerState.NO_PLAY, 0, {})
        with pytest.raises(family) as caught:
            heard.notices.raise_error()
        assert caught.value.code == code

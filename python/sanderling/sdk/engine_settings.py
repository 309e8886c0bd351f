"""Settings of an engine that may be changed after it was made, each as long as it can still count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NoReturn

from sanderling.enums import GeoFenceAreaCode, GeoFenceType, RoomMode
from sanderling.errors import ErrorCode, SanderlingError, error_for
from sanderling.sdk import experimental
from sanderling.sdk.config import EngineProfile
from sanderling.sdk.engine_life import EngineLife
from sanderling.sdk.geo_fence import GeoFence
from sanderling.sdk.handler import EventHandler

__all__ = ["EngineSettings"]


class EngineSettings(EngineLife):
    """The calls of an engine that concern its settings."""

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        super().__init__(profile, handler)
        self._went_out = False
        """Whether it has gone to a server."""

    def set_engine_config(self, advanced_config: Mapping[str, str]) -> None:
        """Change settings by name: ``room_retry_time`` and ``av_retry_time``, seconds for which a lost room, or a lost
        publish or play, is tried again (also fields of the profile).

        All of them change, or none: 1000067 for ``room_retry_time`` while in a room, 1000066 for ``av_retry_time``
        while there is a preview, a published or a played stream, 1000017 for others and impossible values.
        """
        self._check()
        try:
            values = {name: _seconds(name, value) for name, value in advanced_config.items()}
            if "room_retry_time" in values and self._members:
                self._too_late(ErrorCode.SETTING_AFTER_LOGIN, "room_retry_time counts from the login on")
            if "av_retry_time" in values and self._media_runs():
                self._too_late(
                    ErrorCode.SETTING_AFTER_MEDIA_STARTED, "av_retry_time counts from the first media on"
                )
            self._profile = replace(self._profile, **values)  # type: ignore[arg-type]  # both are seconds
        except SanderlingError as error:
            self._fail(error, "set_engine_config")
        for room in self._members.values():
            room.av_retry_time = room.session.av_retry_time = self._profile.av_retry_time

    def set_room_mode(self, mode: RoomMode) -> None:
        """Be in one room at a time or in several; 1001020 after the first login, 1000017 for no such mode."""
        self._check()
        try:
            if self._went_out:
                self._too_late(
                    ErrorCode.ROOM_MODE_SET_TOO_LATE, "the room mode counts from the first login on"
                )
            self._profile = replace(self._profile, room_mode=_room_mode(mode))
        except SanderlingError as error:
            self._fail(error, "set_room_mode")

    def set_geo_fence(self, kind: GeoFenceType, areas: Iterable[GeoFenceAreaCode] = ()) -> None:
        """Use servers in some areas only, or none there (:class:`GeoFence`); a login to another fails with 1000039.

        1001021 after the first login, 1000017 for what is no fence.
        """
        self._check()
        try:
            if self._went_out:
                self._too_late(ErrorCode.GEO_FENCE_SET_TOO_LATE, "a server was used already")
            self._profile = replace(self._profile, geo_fence=GeoFence(kind, tuple(areas)))
        except SanderlingError as error:
            self._fail(error, "set_geo_fence")

    def call_experimental_api(self, params: str) -> str:
        """Carry out a call given as JSON, ``{"method": "list_methods", "params": {}}``, and return JSON.

        1001091 for what is no such JSON, 1000017 for an unknown method. These calls may change without notice.
        """
        self._check()
        try:
            return experimental.call(params, self._members)
        except SanderlingError as error:
            self._fail(error, "call_experimental_api")

    def _media_runs(self) -> bool:
        rooms = self._members.values()
        return bool(self._previews) or any(room.publishers or room.players for room in rooms)

    def _too_late(self, code: ErrorCode, why: str) -> NoReturn:
        raise error_for(code, f"too late: {why}", hint="set it before, or in the engine's profile")


def _seconds(name: str, value: str) -> float:
    if name not in ("room_retry_time", "av_retry_time"):
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"there is no setting {name!r}",
            hint="known: room_retry_time, av_retry_time",
        )
    try:
        return float(value)
    except (ValueError, TypeError):
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"{name} is {value!r}, a number of seconds expected"
        ) from None


def _room_mode(mode: RoomMode) -> RoomMode:
    try:
        return RoomMode(mode)
    except ValueError:
        raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"there is no room mode {mode!r}") from None

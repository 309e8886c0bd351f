"""What a project may set for itself. The product has these behind its support desk; here they are settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from sanderling.errors import ErrorCode, SanderlingError

__all__ = ["ProjectSettings", "change_settings", "decode_settings", "encode_settings"]


LONGEST_LIST = 256
"""Entries of a setting that is a list. Each login looks at all of them."""


class ProjectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting with its default. Times in seconds; limits per second are of whole rooms unless named."""

    online: bool = True
    """Whether anybody may log in; those who are there stay."""
    room_limit: int = 0
    """Rooms of the project at once; 0 = any number."""
    silent_s: int = 0
    """A user not heard for so long has gone (5–1800); 0 = the server's ``heartbeat_timeout_s``. Lower shows a
    crashed peer sooner, higher lets worse networks through unseen."""
    max_rooms: int = 5
    """Rooms one user is in at once."""
    notice_members: int = 500
    """Users who come when the room has more are not announced. Higher costs a notice per member for each."""
    room_logins_per_s: int = 200
    app_logins_per_s: int = 2000
    """Of the whole project."""
    broadcasts_per_s: int = 10
    user_broadcasts_per_s: int = 2
    """Of one user."""
    barrages_per_s: int = 20
    commands_per_s: int = 200
    """Custom commands and transparent messages to one user."""
    group_commands_per_s: int = 10
    """The same to several users or the room."""
    require_privileges: bool = False
    """Whether tokens without privileges, and AppSigns, may neither log in nor publish."""
    token_expired: Literal["keep", "kick"] = "keep"
    """What an expired token does to its session."""
    l3_off: Literal["keep", "rtc", "stop"] = "keep"
    """What running L3 plays do when L3 is switched off."""
    object_segmentation: bool = True
    """Whether SDKs may replace the background of what they publish."""
    video_codec: Literal["auto", "VP8", "VP9", "AV1", "H264"] = "auto"
    """What may be published; auto: VP8, unless every member of the room decodes what the publisher would rather
    send."""
    allowed_addresses: tuple[str, ...] = ()
    """Addresses and networks (CIDR) from which clients may come; none = any."""
    denied_addresses: tuple[str, ...] = ()
    """Those from which they may not, also out of the allowed ones."""
    multi_room_users: tuple[str, ...] = ()
    """UserIDs that may be in several rooms, with ``*`` for any characters; none = all."""

    def switched_off(self) -> tuple[str, ...]:
        """What clients have to do without, by the names of the settings."""
        return () if self.object_segmentation else ("object_segmentation",)

    def __post_init__(self) -> None:
        rules = [
            (self.silent_s == 0 or 5 <= self.silent_s <= 1800, "silent_s is from 5 to 1800, or 0"),
            (0 <= self.room_limit <= 1_000_000, "room_limit is from 0 to 1000000"),
            (1 <= self.max_rooms <= 20, "max_rooms is from 1 to 20"),
            (0 <= self.notice_members <= 1_000_000, "notice_members is from 0 to 1000000"),
        ]
        rules += [
            (1 <= getattr(self, name) <= 1_000_000, f"{name} is from 1 to 1000000")
            for name in self.__struct_fields__
            if name.endswith("_per_s")
        ]
        rules += [
            (len(getattr(self, name)) <= LONGEST_LIST, f"{name} has at most {LONGEST_LIST} entries")
            for name in _LISTS
        ]
        for good, rule in rules:
            if not good:
                raise ValueError(rule)
        _check_networks((*self.allowed_addresses, *self.denied_addresses))


_LISTS = ("allowed_addresses", "denied_addresses", "multi_room_users")


def _check_networks(texts: Iterable[str]) -> None:
    for text in texts:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"{error}; write an address or a network such as 192.0.2.0/24") from None


_decoder = msgspec.json.Decoder(ProjectSettings)


def encode_settings(settings: ProjectSettings) -> str:
    """Return what differs from the defaults as JSON, so that a later default reaches old projects too."""
    defaults = ProjectSettings()
    changed = {
        name: getattr(settings, name)
        for name in settings.__struct_fields__
        if getattr(settings, name) != getattr(defaults, name)
    }
    return msgspec.json.encode(changed).decode()


def decode_settings(text: str) -> ProjectSettings:
    """Read what ``encode_settings`` wrote; settings of a newer version are passed over."""
    return _decoder.decode(text or "{}")


def change_settings(settings: ProjectSettings, changes: dict[str, Any]) -> ProjectSettings:
    """Return ``settings`` with these changed; texts are read as what the setting is, lists with
    commas between their entries. 1000017 when that cannot be.
    """
    known = settings.__struct_fields__
    for name in changes:
        if name not in known:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"there is no project setting {name!r}",
                hint=f"known: {', '.join(known)}",
            )
    changes = {
        name: tuple(part.strip() for part in value.split(",") if part.strip())
        if name in _LISTS and isinstance(value, str)
        else value
        for name, value in changes.items()
    }
    try:
        return msgspec.convert({**msgspec.structs.asdict(settings), **changes}, ProjectSettings, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"project setting: {error}") from None

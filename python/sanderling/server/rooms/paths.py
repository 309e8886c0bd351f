"""Which path a stream takes to a viewer, and when a running play moves to another one (architecture section 5)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec
import structlog

from sanderling.enums import ResourceMode
from sanderling.errors import ErrorCode, PlayError, SanderlingError
from sanderling.server.rooms.context import RoomContext, check_present
from sanderling.server.rooms.member import Member, PlayRecord
from sanderling.signaling.messages import Play, ResourceNotice

__all__ = [
    "Stage",
    "apply_delay",
    "check_play",
    "choose_path",
    "follow_stage",
    "move",
    "stage_of",
    "switch",
    "SwitchWatch",
]

log = structlog.get_logger("rooms")

CDN, RTC, L3 = 0, 1, 2
"""ResourceType (product-facts 1.4)."""
KEEP_ORIGINAL = 2
"""ResourceSwitchMode: a play does not move when the user goes on stage."""
DELAY_LIMIT_MS = {ResourceMode.ONLY_RTC: 0, ResourceMode.ONLY_L3: 1000}
"""How late a viewer may show a picture that is complete. RTC: at once, for people who talk to each other. L3: it holds
as much as evens out what the network does, which is next to nothing on a clean link."""
SWITCH_CHECKED_EVERY_S = 1.0
"""How soon running L3 plays follow their project's switch."""


class Stage(Enum):
    """Whether a user has not yet, is or is no longer publishing."""

    BEFORE = "before"
    ON = "on"
    AFTER = "after"


def stage_of(member: Member) -> Stage:
    """Where the user stands."""
    if member.publishing:
        return Stage.ON
    return Stage.AFTER if member.has_published else Stage.BEFORE


def check_play(message: Play) -> ResourceMode:
    """Return the resource mode asked for; 1000017 for values that do not exist, or when nothing is wanted."""
    if not message.audio and not message.video:
        raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, "neither audio nor video is wanted")
    choices = (message.custom.before_publish, message.custom.publishing, message.custom.after_publish)
    if any(choice not in (CDN, RTC, L3) for choice in choices):
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            "a path of custom does not exist",
            hint="before_publish, publishing and after_publish are 0 CDN, 1 RTC or 2 L3",
        )
    if message.switch_mode not in (0, 1, KEEP_ORIGINAL) or message.when_stop_publish not in (0, 1, L3):
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            "switch_mode or when_stop_publish does not exist",
            hint="switch_mode is 0, 1 or 2; when_stop_publish 0 default, 1 CDN or 2 L3",
        )
    try:
        return ResourceMode(message.resource_mode)
    except ValueError:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"resource mode {message.resource_mode} does not exist",
            hint="0 default, 1 CDN, 2 L3, 3 RTC, 5 custom",
        ) from None


def _take(resource: int, *, l3: bool) -> ResourceMode:
    """The path of a resource that is demanded."""
    if resource == CDN:
        raise SanderlingError(
            ErrorCode.NOT_INSTALLED,
            "the CDN is not installed on this server",
            hint="play with L3 (2) or RTC (3)",
        )
    if resource == RTC:
        return ResourceMode.ONLY_RTC
    if not l3:
        raise PlayError(
            ErrorCode.L3_NOT_ENABLED,
            "L3 is not enabled for this project",
            hint="switch it on with `sanderling project set --l3 on`",
        )
    return ResourceMode.ONLY_L3


def choose_path(mode: ResourceMode, *, stage: Stage, l3: bool, message: Play | None = None) -> ResourceMode:
    """Return ONLY_L3 or ONLY_RTC, the path a play takes; ``message`` for what the modes DEFAULT and CUSTOM ask of it.

    1004072 when L3 is demanded and the project has it off, 1000010 when the CDN is.
    """
    wanted = message or Play(seq=1, stream_id="")
    if mode is ResourceMode.ONLY_CDN:
        return _take(CDN, l3=l3)
    if mode is ResourceMode.ONLY_L3:
        return _take(L3, l3=l3)
    if mode is ResourceMode.ONLY_RTC:
        return _take(RTC, l3=l3)
    if mode is ResourceMode.CUSTOM:
        choice = wanted.custom
        resource = {
            Stage.BEFORE: choice.before_publish,
            Stage.ON: choice.publishing,
            Stage.AFTER: choice.after_publish,
        }[stage]
        return _take(resource, l3=l3)
    if stage is Stage.ON and wanted.switch_mode != KEEP_ORIGINAL:
        return ResourceMode.ONLY_RTC
    if stage is Stage.AFTER and wanted.when_stop_publish == 1:
        return _take(CDN, l3=l3)
    return ResourceMode.ONLY_L3 if l3 else ResourceMode.ONLY_RTC


def apply_delay(context: RoomContext, member: Member, play: PlayRecord, path: int) -> None:
    """Let the viewer show a stream as late as its path allows, from the next picture on."""
    if member.viewer is not None:
        context.engine.set_delay(member.viewer, play.publisher, DELAY_LIMIT_MS[ResourceMode(path)])


def move(context: RoomContext, member: Member, play: PlayRecord, path: ResourceMode) -> None:
    """Let a running play take ``path``; its slot and pictures stay, its client is told."""
    if play.ok is None or play.ended or play.ok.resource_mode == int(path):
        return
    play.ok = msgspec.structs.replace(play.ok, resource_mode=int(path))
    apply_delay(context, member, play, path)
    member.send(ResourceNotice(play.stream_id, int(path)))
    log.info("play_moved", app_id=member.app_id, user=member.user.user_id, path=path.name)


async def follow_stage(context: RoomContext, member: Member) -> None:
    """The user went on or off the stage: its plays move as their modes say. One that cannot stays where it is."""
    if member.left or not member.plays:
        return
    project = await context.storage.project(member.app_id)
    if project is None or member.left:
        return
    for play in tuple(member.plays.values()):
        if play.fixed or play.ok is None:
            continue
        try:
            mode = ResourceMode(play.request.resource_mode)
            path = choose_path(mode, stage=stage_of(member), l3=project.l3, message=play.request)
        except SanderlingError as error:
            log.warning("play_stays", stream=play.stream_id, code=int(error.code))
            continue
        move(context, member, play, path)


async def switch(context: RoomContext, member: Member, play: PlayRecord, resource: int) -> ResourceMode:
    """The path of a resource that a client demands for a running play; 1000017, 1000010, 1004072."""
    if resource not in (CDN, RTC, L3):
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER, f"resource {resource} does not exist", hint="0 CDN, 1 RTC, 2 L3"
        )
    project = await context.storage.project(member.app_id)
    check_present(member)
    path = _take(resource, l3=project is not None and project.l3)
    play.fixed = True
    return path


class SwitchWatch:
    """Holds running L3 plays to their project's switch, whoever threw it, by reading it once a second.

    ``stop`` ends a play with a code.
    """

    def __init__(self, context: RoomContext, stop: Callable[[Member, PlayRecord, PlayError], None]) -> None:
        self._context = context
        self._stop = stop
        self._watched: set[int] = set()

    def begin(self, app_id: int) -> None:
        """A play of this project takes L3. Idempotent."""
        if app_id not in self._watched:
            self._watched.add(app_id)
            self._later(app_id)

    def _later(self, app_id: int) -> None:
        due = self._context.steady() + SWITCH_CHECKED_EVERY_S
        self._context.agenda.at(due, lambda: self._context.background.spawn(self._look(app_id)))

    async def _look(self, app_id: int) -> None:
        running = [
            (member, play)
            for (room_app_id, _), room in self._context.rooms.items()
            if room_app_id == app_id
            for member in room.members.values()
            for play in member.plays.values()
            if play.ok is not None and play.ok.resource_mode == int(ResourceMode.ONLY_L3)
        ]
        if not running:
            self._watched.discard(app_id)
            return
        project = await self._context.storage.project(app_id)
        self._later(app_id)
        if project is None or project.l3 or project.settings.l3_off == "keep":
            return
        for member, play in running:
            if play.ended or member.left:
                continue
            if project.settings.l3_off == "rtc":
                move(self._context, member, play, ResourceMode.ONLY_RTC)
            else:
                text = "L3 was switched off for this project"
                self._stop(member, play, PlayError(ErrorCode.L3_NOT_ENABLED, text))

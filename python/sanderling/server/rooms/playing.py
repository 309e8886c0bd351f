"""Viewers and what they play: make and grow the viewer transport, bind, unbind, end."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Iterable
from functools import lru_cache

import msgspec
import structlog

from sanderling.bridge import Answer, MediaFailed, SessionHandle
from sanderling.bridge.events import Flowing, TrackInfo
from sanderling.enums import PlayerState, ResourceMode, VideoStreamType
from sanderling.errors import ErrorCode, PlayError, RoomError
from sanderling.ids import parse_stream_id
from sanderling.server.registry import StreamEntry
from sanderling.server.rooms import paths, policy
from sanderling.server.rooms.codecs import video_codecs
from sanderling.server.rooms.context import RoomContext, check_present
from sanderling.server.rooms.events import StreamEnded, StreamEvent, StreamMoved
from sanderling.server.rooms.member import Member, PlayRecord
from sanderling.server.rooms.players import Players
from sanderling.server.rooms.publishing import fingerprint_of
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import (
    Ok,
    Play,
    PlayerStateNotice,
    PlayMoved,
    PlayOk,
    SetVideoType,
    SlotBound,
    StopPlay,
    Stream,
    SwitchResource,
    Track,
    ViewerAnswer,
    ViewerOffer,
)

__all__ = ["Playing"]

log = structlog.get_logger("rooms")


def _not_played(stream_id: str) -> PlayError:
    return PlayError(
        ErrorCode.STREAM_NOT_PLAYED,
        f"stream {stream_id!r} is not being played by this session",
        hint="play it first, or give the play its video_type",
    )


# What many plays have in common is kept once, not once for each: a node may have tens of thousands.


@lru_cache(maxsize=256)
def _shared(request: Play) -> Play:
    return request


@lru_cache(maxsize=256)
def _shared_tracks(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    return tracks


@lru_cache(maxsize=256)
def _playing_notice(stream_id: str) -> bytes:
    """Encoded: each mailbox keeps it until its client has confirmed it."""
    return encode(PlayerStateNotice(stream_id, PlayerState.PLAYING))


def _tracks(infos: Iterable[TrackInfo]) -> tuple[Track, ...]:
    return _shared_tracks(tuple(Track(info.kind, info.codec) for info in infos))


class Playing:
    """The play half of the rooms."""

    def __init__(self, context: RoomContext) -> None:
        self._context = context
        self._l3 = paths.SwitchWatch(context, self._stopped)
        self._players = Players(context.bus, self._stream_event)

    # ------------------------------------------------------------------------------------------ viewer

    async def open_viewer(self, member: Member, offer: str) -> str:
        """Make the viewer transport and return its answer; MediaFailed when the offer cannot be used."""
        handle = self._context.engine.reserve()
        opening = self._context.engine.open_viewer(handle, offer)
        sdp = await self._open(member, handle, fingerprint_of(offer), opening)
        member.decodes = frozenset(video_codecs(offer))
        return sdp

    async def _open(
        self, member: Member, handle: SessionHandle, fingerprint: str, opening: Awaitable[Answer]
    ) -> str:
        context = self._context
        member.viewer = handle
        member.viewer_fingerprint = fingerprint
        context.viewers[handle.session] = member
        try:
            answer = await opening
        except BaseException:
            context.viewers.pop(handle.session, None)
            if member.viewer is handle:
                member.viewer = None
            raise
        check_present(member)
        if member.viewer is not handle:
            raise MediaFailed("worker_failed", "the viewer transport ended while it was negotiated")
        return answer.sdp

    async def offer_stream(self, member: Member, stream_id: str) -> str:
        """Make a viewer transport by an offer of our own, of a stream as it is; returns the offer.

        It takes the place of the one the member has. Nothing is played before :meth:`accept`. 1004002 when there is no
        such stream, else the codes of a play.
        """
        entry = await self.entry(member.app_id, stream_id)
        check_present(member)
        assert entry.publisher is not None
        engine = self._context.engine
        if member.viewer is not None:
            former = member.viewer
            self.viewer_lost(former.session, "the server makes an offer instead")
            engine.close_session(former)
        # The tracks are known on the publisher's worker; a viewer elsewhere would have to wait for them.
        handle = engine.reserve(entry.publisher.worker)
        try:
            return await self._open(member, handle, "", engine.offer_viewer(handle, entry.publisher))
        except MediaFailed as error:
            raise policy.play_failure(error, stream_id) from None

    async def accept(self, member: Member, answer: str) -> None:
        """Take the answer to the offer of :meth:`offer_stream`; 1004080 or 1004001 when it cannot be used."""
        viewer = member.viewer
        try:
            if viewer is None:
                raise MediaFailed("closed", "the offer has expired")
            await self._context.engine.accept(viewer, answer)
        except MediaFailed as error:
            raise policy.viewer_failure(error) from None
        check_present(member)
        member.viewer_fingerprint = fingerprint_of(answer)
        member.decodes = frozenset(video_codecs(answer))

    async def viewer_offer(self, member: Member, message: ViewerOffer) -> None:
        """Grow the viewer's pool of slots, or make a new viewer: there is none, or the offer is of another one."""
        try:
            sdp = await self._negotiate(member, message.offer)
        except MediaFailed as error:
            raise policy.viewer_failure(error) from None
        check_present(member)
        member.send(ViewerAnswer(message.seq, sdp))

    async def _negotiate(self, member: Member, offer: str) -> str:
        if member.viewer is not None and fingerprint_of(offer) != member.viewer_fingerprint:
            former = member.viewer
            self.viewer_lost(former.session, "the client has made another one")
            self._context.engine.close_session(former)
        if member.viewer is None:
            return await self.open_viewer(member, offer)
        return (await self._context.engine.offer(member.viewer, offer)).sdp

    def viewer_lost(self, session: int, why: str) -> None:
        """The viewer transport ended by itself, and every play with it."""
        member = self._context.viewers.pop(session, None)
        if member is None:
            return
        member.viewer = None
        for play in tuple(member.plays.values()):
            self._forget(member, play)
            member.send(
                PlayerStateNotice(
                    play.stream_id,
                    PlayerState.NO_PLAY,
                    int(ErrorCode.PLAY_INTERRUPTED),
                    f"the viewer transport ended: {why}; send a viewer_offer and play again",
                )
            )

    def leave(self, member: Member) -> None:
        """Release the viewer and every play of a member that leaves."""
        for play in tuple(member.plays.values()):
            self._forget(member, play)
        viewer, member.viewer = member.viewer, None
        if viewer is not None:
            self._context.viewers.pop(viewer.session, None)
            self._context.engine.close_session(viewer)

    def hand_over(self, member: Member, heir: Member) -> None:
        """End every play of ``member`` and give its viewer to ``heir``, its user's session in another room."""
        viewer = member.viewer
        for play in tuple(member.plays.values()):
            self._forget(member, play)
            if viewer is not None:
                self._context.engine.unbind_soon(viewer, play.publisher)
        if viewer is not None:
            member.viewer, heir.viewer = None, viewer
            heir.viewer_fingerprint, heir.decodes = member.viewer_fingerprint, member.decodes
            self._context.viewers[viewer.session] = heir

    # -------------------------------------------------------------------------------------------- play

    async def play(self, member: Member, message: Play) -> None:
        """Look the stream up, choose the path, bind it to a slot, reply. Repeating a play repeats its reply."""
        stream_id = parse_stream_id(message.stream_id)
        mode = paths.check_play(message)
        layer = policy.check_video_type(message.video_type)
        held = member.plays.get(stream_id)
        if held is not None and held.ok is not None:
            member.send(msgspec.structs.replace(held.ok, seq=message.seq))
            return
        # Read for every play, so that a switch thrown by another process counts at once.
        project = await self._context.storage.project(member.app_id)
        check_present(member)
        if project is None:
            raise RoomError(
                ErrorCode.APP_ID_INCORRECT, f"there is no project with AppID {member.app_id} any more"
            )
        path = paths.choose_path(mode, stage=paths.stage_of(member), l3=project.l3, message=message)
        if await self._context.registry.banned(member.app_id, f"stream:{stream_id}", self._context.clock()):
            raise PlayError(
                ErrorCode.PLAY_FORBIDDEN,
                f"stream {stream_id!r} is forbidden by the server",
                hint="ask its operator",
            )
        entry = await self.entry(member.app_id, stream_id)
        check_present(member)
        if len(member.plays) >= project.max_plays:
            raise PlayError(
                ErrorCode.TOO_MANY_PLAYS,
                f"{len(member.plays)} streams are played already, {project.max_plays} allowed",
                hint="stop one first, or raise max_plays of the project",
            )
        viewer = member.viewer
        if viewer is None:
            raise PlayError(
                ErrorCode.PLAY_FAILED,
                "this session has no viewer transport",
                hint="send viewer_offer with the login, or a viewer_offer message",
            )
        assert entry.publisher is not None
        request = _shared(msgspec.structs.replace(message, seq=0, stream_id=""))
        play = PlayRecord(entry.stream_id, entry.publisher, request, layer=layer)
        member.plays[play.stream_id] = play
        self._players.add(member, play.stream_id)
        try:
            await self._bind(member, viewer, play, message, path, entry.stream)
        except BaseException:
            self._forget(member, play)
            raise

    async def entry(self, app_id: int, stream_id: str) -> StreamEntry:
        """A stream with its publisher; 1004002 when there is none."""
        entry: StreamEntry | None = await self._context.registry.stream(app_id, stream_id)
        if entry is None or entry.publisher is None:
            raise PlayError(
                ErrorCode.STREAM_NOT_FOUND,
                f"stream {stream_id!r} does not exist",
                hint="it appears in a stream notice once it is published",
            )
        return entry

    async def _bind(
        self,
        member: Member,
        viewer: SessionHandle,
        play: PlayRecord,
        message: Play,
        path: int,
        stream: Stream | None,
    ) -> None:
        try:
            binding = await self._context.engine.bind(
                viewer, play.publisher, audio=message.audio, video=message.video
            )
            if play.layer is not VideoStreamType.DEFAULT and not play.ended:
                await self._context.engine.set_layer(viewer, play.publisher, int(play.layer))
        except MediaFailed as error:
            raise policy.play_failure(error, play.stream_id) from None
        check_present(member)
        if play.ended:
            # The stream or the viewer ended between the bind and now; a viewer that lives on must not keep the slot.
            self._context.engine.unbind_soon(viewer, play.publisher)
            raise PlayError(
                ErrorCode.STREAM_NOT_FOUND, f"stream {play.stream_id!r} ended while the play was under way"
            )
        play.ok = PlayOk(
            seq=message.seq,
            stream_id=play.stream_id,
            slot=binding.slot,
            resource_mode=int(path),
            audio_mid=sys.intern(binding.audio_mid),
            video_mid=sys.intern(binding.video_mid),
            tracks=_tracks(binding.tracks),
            camera=stream.camera if stream is not None else 0,
            microphone=stream.microphone if stream is not None else 0,
        )
        member.send(play.ok)
        if play.ok.resource_mode == ResourceMode.ONLY_L3:
            paths.apply_delay(self._context, member, play, path)
            self._l3.begin(member.app_id)
        early, play.early = play.early, ()
        for event in early:
            self._flowing(member, play, event)

    async def set_video_type(self, member: Member, message: SetVideoType) -> None:
        """Choose the layer of a stream that is played; 1004011 when it is not. It is the same for one-layer streams."""
        stream_id = parse_stream_id(message.stream_id)
        layer = policy.check_video_type(message.video_type)
        play = member.plays.get(stream_id)
        if play is None or play.ok is None or member.viewer is None:
            raise _not_played(stream_id)
        try:
            await self._context.engine.set_layer(member.viewer, play.publisher, int(layer))
        except MediaFailed as error:
            check_present(member)
            if error.reason in ("unknown_session", "unknown_stream"):
                # The stream or the viewer ended at the same moment.
                raise _not_played(stream_id) from None
            raise policy.play_failure(error, stream_id) from None
        check_present(member)
        play.layer = layer
        member.send(Ok(message.seq))

    async def stop(self, member: Member, message: StopPlay) -> None:
        """Free the slot; a stream that is not played (any more) is fine."""
        play = member.plays.get(message.stream_id)
        if play is not None:
            self._forget(member, play)
            if member.viewer is not None:
                try:
                    await self._context.engine.unbind(member.viewer, play.publisher)
                except MediaFailed as error:
                    # The stream or the viewer ended at the same moment: the slot is free either way.
                    log.debug("unbind_failed", reason=error.reason, detail=error.detail)
                check_present(member)
        member.send(Ok(message.seq))

    async def switch_resource(self, member: Member, message: SwitchResource) -> None:
        """Move a running play to the path its client wants, where it stays. 1004011 when it is not played."""
        play = member.plays.get(message.stream_id)
        if play is None or play.ok is None:
            raise _not_played(message.stream_id)
        path = await paths.switch(self._context, member, play, message.resource)
        member.send(Ok(message.seq))
        paths.move(self._context, member, play, path)
        if path is ResourceMode.ONLY_L3:
            self._l3.begin(member.app_id)

    def stage_changed(self, member: Member) -> None:
        """The user went on or off the stage."""
        if member.plays and not member.left:
            self._context.background.spawn(paths.follow_stage(self._context, member))

    def _stopped(self, member: Member, play: PlayRecord, why: PlayError) -> None:
        self._forget(member, play)
        if member.viewer is not None:
            self._context.engine.unbind_soon(member.viewer, play.publisher)
        self._interrupted(member, play.stream_id, why.code, why.message)

    def flowing(self, event: Flowing) -> None:
        """First media of a binding left: tell where it begins, and that the stream plays."""
        member = self._context.viewers.get(event.session)
        if member is None:
            return
        play = next((p for p in member.plays.values() if p.publisher.session == event.stream), None)
        if play is None:
            return
        if play.ok is None:
            play.early += (event,)
        else:
            self._flowing(member, play, event)

    def _flowing(self, member: Member, play: PlayRecord, event: Flowing) -> None:
        member.send(SlotBound(play.stream_id, event.mid, event.kind, event.rtp_timestamp))
        if not play.flowing:
            play.flowing = True
            member.mailbox.send(_playing_notice(play.stream_id))

    def _stream_event(self, member: Member, stream_id: str, event: StreamEvent) -> None:
        play = member.plays.get(stream_id)
        if play is None:
            return
        if isinstance(event, StreamEnded):
            self._stream_ended(member, play, event)
        elif isinstance(event, StreamMoved):
            if event.former == play.publisher.session:
                self._context.background.spawn(self._follow(member, play, event))
        elif not event.data:
            member.mailbox.send(event.notice)

    async def _follow(self, member: Member, play: PlayRecord, event: StreamMoved) -> None:
        """The stream has another transport: bind that in place of the former, whose slot is free already."""
        former = play.publisher
        play.publisher = SessionHandle(event.publisher, event.worker)
        viewer, held = member.viewer, play.ok
        if play.ended or viewer is None or held is None:
            return
        self._context.engine.unbind_soon(viewer, former)
        try:
            binding = await self._context.engine.bind(
                viewer, play.publisher, audio=play.request.audio, video=play.request.video
            )
            if play.layer is not VideoStreamType.DEFAULT:
                await self._context.engine.set_layer(viewer, play.publisher, int(play.layer))
        except MediaFailed as error:
            if not play.ended:
                self._forget(member, play)
                failure = policy.play_failure(error, play.stream_id)
                self._interrupted(member, play.stream_id, failure.code, failure.message)
            return
        if member.plays.get(play.stream_id) is not play:
            self._context.engine.unbind_soon(viewer, play.publisher)
            return
        tracks = _tracks(binding.tracks)
        play.ok = msgspec.structs.replace(
            held, slot=binding.slot, audio_mid=binding.audio_mid, video_mid=binding.video_mid, tracks=tracks
        )
        if held.resource_mode == ResourceMode.ONLY_L3:
            paths.apply_delay(self._context, member, play, held.resource_mode)
        member.send(PlayMoved(play.stream_id, binding.slot, binding.audio_mid, binding.video_mid, tracks))

    def _interrupted(self, member: Member, stream_id: str, code: ErrorCode, text: str) -> None:
        member.send(PlayerStateNotice(stream_id, PlayerState.NO_PLAY, int(code), text))

    def _stream_ended(self, member: Member, play: PlayRecord, event: StreamEnded) -> None:
        if event.publisher != play.publisher.session:
            return
        told = play.ok is not None
        self._forget(member, play)
        code, text = ErrorCode(event.code), ""
        if code is ErrorCode.PLAY_FORBIDDEN:
            text = f"forbidden by the server{': ' + event.message if event.message else ''}"
        if event.why:
            code, text = ErrorCode.PLAY_INTERRUPTED, f"the stream ended by a fault of the server: {event.why}"
            if member.viewer is not None:
                # A publisher that is closed frees its slots on every worker; one that failed with its worker cannot.
                self._context.engine.unbind_soon(member.viewer, play.publisher)
        if told:
            member.send(PlayerStateNotice(play.stream_id, PlayerState.NO_PLAY, int(code), text))

    def _forget(self, member: Member, play: PlayRecord) -> None:
        play.ended = True
        if member.plays.get(play.stream_id) is play:
            del member.plays[play.stream_id]
            self._players.remove(member, play.stream_id)

"""Streams from claim to end: publish, connected, live, ended."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from sanderling.bridge import Answer, MediaFailed
from sanderling.bridge.events import TrackStarted
from sanderling.enums import PublisherState, StreamDeleteReason, UpdateType
from sanderling.errors import ErrorCode, PublishError, RoomError
from sanderling.ids import parse_stream_id
from sanderling.server.bus.base import stream_subject
from sanderling.server.registry import StreamEntry
from sanderling.server.rooms import policy
from sanderling.server.rooms.codecs import choose_codecs, video_codecs
from sanderling.server.rooms.context import RoomContext, check_present
from sanderling.server.rooms.events import StreamEnded, StreamMoved, encode_event
from sanderling.server.rooms.member import Member, Publication
from sanderling.server.storage import Project
from sanderling.signaling.messages import (
    Ok,
    Publish,
    PublisherStateNotice,
    PublishOk,
    StopPublish,
    Stream,
    StreamNotice,
    Track,
)

__all__ = ["Publishing", "fingerprint_of", "publication_of"]

log = structlog.get_logger("rooms")


def fingerprint_of(offer: str) -> str:
    """The certificate fingerprint of an SDP offer, "" without one: what tells a new transport from a later offer."""
    at = offer.find("a=fingerprint:")
    return offer[at:].split("\n", 1)[0].strip().lower() if at >= 0 else ""


def publication_of(member: Member, stream_id: str) -> Publication | None:
    """The stream of this ID that ``member`` publishes."""
    return next((p for p in member.publications.values() if p.stream.stream_id == stream_id), None)


class Publishing:
    """The publish half of the rooms. ``stage_changed`` is told when a user may have gone on or off the stage."""

    def __init__(self, context: RoomContext, stage_changed: Callable[[Member], None]) -> None:
        self._context = context
        self._stage_changed = stage_changed

    async def publish(self, member: Member, message: Publish) -> None:
        """Take the streamID, negotiate the transport, reply. Nothing is left behind when any step fails."""
        context = self._context
        stream_id = parse_stream_id(message.stream_id)
        policy.check_publish(message)
        held = member.publications.get(message.channel)
        if message.renew and held is not None and held.answered and held.stream.stream_id == stream_id:
            await self._renew(member, held, message)
            return
        if message.channel in member.publications:
            other = member.publications[message.channel].stream.stream_id
            raise PublishError(
                ErrorCode.CHANNEL_ALREADY_PUBLISHING,
                f"channel {message.channel} publishes stream {other!r} already",
                hint="stop it first, or use another channel",
            )
        project = await self._project(member)
        required = project.settings.require_privileges
        policy.check_publish_privilege(member.token, stream_id, now=context.clock(), required=required)
        codecs = self._codecs(member, project, message.offer)
        stream = Stream(
            stream_id,
            member.user,
            extra_info=message.extra_info,
            camera=message.camera,
            microphone=message.microphone,
        )
        entry = StreamEntry(member.app_id, stream_id, member.session_id, member.room_id, context.node)
        holder = await context.registry.claim_stream(entry)
        check_present(member)
        if holder is not None:
            where = "this room" if holder.room_id == member.room_id else "another room"
            raise PublishError(
                ErrorCode.STREAM_ID_EXISTS,
                f"stream {stream_id!r} is published in {where} already",
                hint="a streamID is unique in the AppID; choose another one",
            )
        handle = context.engine.reserve()
        publication = Publication(
            message.channel, stream, handle, fingerprint_of(message.offer), since=context.clock()
        )
        member.publications[message.channel] = publication
        context.publishers[handle.session] = (member, publication)
        try:
            # Asked only now: who forbids the stream from here on finds it, and ends it.
            await self._check_forbidden(member, publication)
            await self._check_goes_on(member, publication)
            answer = await context.engine.open_publisher(handle, message.offer, codecs)
        except BaseException as error:
            self._undo(member, publication)
            context.engine.close_session(handle)
            await context.registry.release_stream(member.app_id, stream_id, member.session_id)
            if isinstance(error, MediaFailed):
                raise policy.publish_failure(error) from None
            raise
        await self._check_goes_on(member, publication)
        await self._answered(member, publication, entry, answer, message.seq)

    async def _check_forbidden(self, member: Member, publication: Publication) -> None:
        stream_id, now = publication.stream.stream_id, self._context.clock()
        if await self._context.registry.banned(member.app_id, f"stream:{stream_id}", now):
            raise PublishError(
                ErrorCode.PUBLISH_FORBIDDEN,
                f"stream {stream_id!r} is forbidden by the server",
                hint="ask its operator, or publish another stream",
            )

    async def _check_goes_on(self, member: Member, publication: Publication) -> None:
        if publication.ended:
            check_present(member)
            await self._check_forbidden(member, publication)
            raise PublishError(
                ErrorCode.PUBLISH_FAILED,
                "the publisher transport ended while it was negotiated",
                hint="try again",
            )

    async def _project(self, member: Member) -> Project:
        """The member's project as it is now, not as it was at the login."""
        project = await self._context.storage.project(member.app_id)
        check_present(member)
        if project is None:
            raise RoomError(
                ErrorCode.APP_ID_INCORRECT, f"there is no project with AppID {member.app_id} any more"
            )
        return project

    def _codecs(self, member: Member, project: Project, offer: str) -> tuple[str, ...]:
        """Video codecs to answer with, best first: the project's, or what the room can decode."""
        others = member.room.members.values() if member.room is not None else ()
        decoders = [other.decodes for other in others if other.viewer is not None]
        return choose_codecs(video_codecs(offer), decoders, fixed=project.settings.video_codec)

    def _undo(self, member: Member, publication: Publication) -> None:
        self._context.publishers.pop(publication.handle.session, None)
        if member.publications.get(publication.channel) is publication:
            del member.publications[publication.channel]

    async def _answered(
        self, member: Member, publication: Publication, entry: StreamEntry, answer: Answer, seq: int
    ) -> None:
        tracks = tuple(Track(track.kind, track.codec) for track in answer.tracks)
        publication.stream = msgspec.structs.replace(publication.stream, tracks=tracks)
        await self.store(member, publication)
        check_present(member)
        publication.answered = True
        member.has_published = True
        member.send(PublishOk(seq, entry.stream_id, answer.sdp, tracks))
        if publication.connected:
            self._go_live(member, publication)
        self._stage_changed(member)

    async def _renew(self, member: Member, publication: Publication, message: Publish) -> None:
        """ICE restart with the same certificate; with another one a transport in place of the former."""
        context = self._context
        fingerprint = fingerprint_of(message.offer)
        stream_id = publication.stream.stream_id
        if fingerprint == publication.fingerprint:
            sdp = await self.renegotiate(member, stream_id, message.offer)
            member.send(PublishOk(message.seq, stream_id, sdp, publication.stream.tracks))
            return
        codecs = self._codecs(member, await self._project(member), message.offer)
        handle = context.engine.reserve()
        context.publishers[handle.session] = (member, publication)
        try:
            answer = await context.engine.open_publisher(handle, message.offer, codecs)
        except BaseException as error:
            context.publishers.pop(handle.session, None)
            if isinstance(error, MediaFailed):
                raise policy.publish_failure(error) from None
            raise
        if publication.ended or member.left:
            context.publishers.pop(handle.session, None)
            context.engine.close_session(handle)
            check_present(member)
            raise PublishError(
                ErrorCode.PUBLISH_FAILED,
                "the stream ended while its transport was renewed",
                hint="publish it",
            )
        former, publication.handle = publication.handle, handle
        publication.fingerprint = fingerprint
        publication.connected = False
        tracks = tuple(Track(track.kind, track.codec) for track in answer.tracks)
        publication.stream = msgspec.structs.replace(publication.stream, tracks=tracks)
        context.publishers.pop(former.session, None)
        context.engine.close_session(former)
        await self.store(member, publication)
        check_present(member)
        member.send(PublishOk(message.seq, stream_id, answer.sdp, tracks))
        context.bus.publish(
            stream_subject(member.app_id, stream_id),
            encode_event(StreamMoved(former.session, handle.session, handle.worker)),
        )

    async def store(self, member: Member, publication: Publication) -> None:
        """Bring the registry's entry of a stream up to date."""
        stream = publication.stream
        entry = StreamEntry(
            member.app_id,
            stream.stream_id,
            member.session_id,
            member.room_id,
            self._context.node,
            publication.handle,
            stream,
            live=publication.live,
            since=publication.since,
        )
        if not publication.ended:
            await self._context.registry.set_stream(entry)

    async def renegotiate(self, member: Member, stream_id: str, offer: str) -> str:
        """Answer a later offer of a stream's transport; the stream goes on whatever comes of it."""
        publication = publication_of(member, stream_id)
        if publication is None or not publication.answered:
            raise PublishError(
                ErrorCode.PUBLISH_FAILED,
                f"stream {stream_id!r} is not published by this session",
                hint="publish it first",
            )
        try:
            answer = await self._context.engine.offer(publication.handle, offer)
        except MediaFailed as error:
            raise policy.publish_failure(error) from None
        check_present(member)
        return answer.sdp

    async def stop(self, member: Member, message: StopPublish) -> None:
        """End a stream; one that is not published (any more) is fine."""
        publication = publication_of(member, message.stream_id)
        if publication is not None:
            await self.end(member, publication, StreamDeleteReason.PUBLISHER_STOPPED)
        member.send(Ok(message.seq))

    def connected(self, session: int) -> None:
        """The transport is up: the publisher and the room are told."""
        found = self._context.publishers.get(session)
        if found is None:
            return
        member, publication = found
        publication.connected = True
        if publication.answered:
            self._go_live(member, publication)

    def _go_live(self, member: Member, publication: Publication) -> None:
        if publication.ended or member.room is None:
            return
        stream = publication.stream
        member.send(PublisherStateNotice(stream.stream_id, PublisherState.PUBLISHING))
        if publication.live:
            return  # By another transport, before.
        publication.live = True
        # Stored first: who logs in from now on finds it there, and hears no notice about it.
        self._context.background.spawn(self._announce(member, publication))
        log.info("stream_live", app_id=member.app_id, room=member.room_id, stream=stream.stream_id)

    async def _announce(self, member: Member, publication: Publication) -> None:
        await self.store(member, publication)
        if not publication.ended and member.room is not None:
            publication.told = True
            member.room.tell(
                StreamNotice(UpdateType.ADD, (publication.stream,)), session_id=member.session_id
            )

    def track_started(self, event: TrackStarted) -> None:
        """Keep the codec that really arrives, for those who log in later."""
        found = self._context.publishers.get(event.stream)
        if found is None:
            return
        _, publication = found
        tracks = tuple(
            Track(track.kind, event.codec) if track.kind == event.kind else track
            for track in publication.stream.tracks
        )
        if tracks != publication.stream.tracks:
            publication.stream = msgspec.structs.replace(publication.stream, tracks=tracks)
            self._context.background.spawn(self.store(found[0], publication))

    async def forbid(self, member: Member, stream_id: str, custom_reason: str) -> None:
        """The server's operator forbids a stream: it ends for all."""
        publication = publication_of(member, stream_id)
        if publication is None:
            return
        answered = publication.answered
        self.end_now(
            member,
            (publication,),
            StreamDeleteReason.REMOVED_BY_SERVER,
            custom_reason=custom_reason,
            players_code=ErrorCode.PLAY_FORBIDDEN,
        )
        if answered and not member.left:
            text = f"forbidden by the server{': ' + custom_reason if custom_reason else ''}"
            code = int(ErrorCode.PUBLISH_FORBIDDEN)
            member.send(PublisherStateNotice(stream_id, PublisherState.NO_PUBLISH, code, text))
        await self.release(member, (publication,))

    async def lost(self, session: int, why: str) -> None:
        """The transport ended by itself."""
        found = self._context.publishers.get(session)
        if found is None:
            return
        member, publication = found
        if why == "peer_closed":
            reason, code, text = StreamDeleteReason.PUBLISHER_STOPPED, ErrorCode.SUCCESS, ""
        elif publication.live:
            reason, code = StreamDeleteReason.CONNECTION_LOST, ErrorCode.PUBLISH_INTERRUPTED
            text = f"the publisher transport ended: {why}"
        else:
            reason, code = StreamDeleteReason.CONNECTION_LOST, ErrorCode.PUBLISH_FAILED
            text = f"the publisher transport never came up: {why}"
        stream_id, answered = publication.stream.stream_id, publication.answered
        await self.end(member, publication, reason, fault=why if why == "worker_failed" else "")
        # Before the reply there is nothing to take back: the publish itself fails.
        if answered and not member.left:
            member.send(PublisherStateNotice(stream_id, PublisherState.NO_PUBLISH, int(code), text))

    async def end(
        self, member: Member, publication: Publication, reason: StreamDeleteReason, *, fault: str = ""
    ) -> None:
        """End one stream: sending stops, players and room are told, the streamID is free."""
        self.end_now(member, (publication,), reason, fault=fault)
        await self.release(member, (publication,))

    async def release(self, member: Member, publications: tuple[Publication, ...]) -> None:
        """Free the streamIDs of streams that have ended."""
        for publication in publications:
            await self._context.registry.release_stream(
                member.app_id, publication.stream.stream_id, member.session_id
            )

    def end_now(
        self,
        member: Member,
        publications: tuple[Publication, ...],
        reason: StreamDeleteReason,
        *,
        fault: str = "",
        custom_reason: str = "",
        players_code: ErrorCode = ErrorCode.SUCCESS,
    ) -> None:
        """The part of ``end`` that does not wait; the registry is left to the caller."""
        context = self._context
        gone: list[Stream] = []
        for publication in publications:
            if publication.ended:
                continue
            publication.ended = True
            member.publications.pop(publication.channel, None)
            stream = publication.stream
            context.publishers.pop(publication.handle.session, None)
            context.engine.close_session(publication.handle)
            context.bus.publish(
                stream_subject(member.app_id, stream.stream_id),
                encode_event(
                    StreamEnded(publication.handle.session, fault, int(players_code), custom_reason)
                ),
            )
            if publication.told:
                gone.append(
                    msgspec.structs.replace(stream, delete_reason=int(reason), custom_reason=custom_reason)
                )
            log.info(
                "stream_ended",
                app_id=member.app_id,
                room=member.room_id,
                stream=stream.stream_id,
                reason=reason.name,
            )
        if publications:
            self._stage_changed(member)
        if gone and member.room is not None:
            member.room.tell(StreamNotice(UpdateType.DELETE, tuple(gone)), session_id=member.session_id)

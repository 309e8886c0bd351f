"""What else there is to know of streams: extra infos, device states, lists, network quality, sequential data."""

from __future__ import annotations

from functools import partial

import msgspec

from sanderling.errors import ErrorCode, PlayError, PublishError, RoomError, SanderlingError
from sanderling.ids import parse_stream_id
from sanderling.server.bus.base import stream_subject
from sanderling.server.rooms import policy
from sanderling.server.rooms.context import RoomContext, check_present
from sanderling.server.rooms.events import StreamEnded, StreamNews, decode_stream_event, encode_event
from sanderling.server.rooms.member import Member, Publication
from sanderling.server.rooms.publishing import Publishing, publication_of
from sanderling.server.rooms.rates import Rates
from sanderling.server.rooms.room import BATCH_BYTES
from sanderling.signaling.codec import encode
from sanderling.signaling.messages import (
    DataNotice,
    DeviceStateNotice,
    NetworkQualityNotice,
    Ok,
    ReportQuality,
    ServerMessage,
    SetDeviceState,
    SetStreamExtraInfo,
    Stream,
    StreamData,
    StreamExtraInfoNotice,
    StreamList,
    StreamListOk,
    SubscribeData,
)

__all__ = ["StreamDetails"]

LONGEST_DATA = 4096
"""Bytes of one piece of sequential data (product-facts 1.10)."""
WORST_QUALITY = 5
"""UNKNOWN, the highest StreamQualityLevel."""
LONGEST_RTT_MS = 60_000
LISTED_AT_ONCE = 512


class StreamDetails:
    """See the module."""

    def __init__(self, context: RoomContext, publishing: Publishing, rates: Rates) -> None:
        self._context = context
        self._publishing = publishing
        self._rates = rates

    def _own(self, member: Member, stream_id: str) -> Publication:
        publication = publication_of(member, stream_id)
        if publication is None or not publication.answered:
            raise PublishError(
                ErrorCode.STREAM_EXTRA_INFO_FAILED,
                f"stream {stream_id!r} is not published by this session",
                hint="publish it first",
            )
        return publication

    async def set_extra_info(self, member: Member, message: SetStreamExtraInfo) -> None:
        """Change the extra info of an own stream; 1003051, 1003053, 1002073."""
        policy.check_extra_info(message.extra_info)
        publication = self._own(member, message.stream_id)
        self._rates.check_stream_change(member)
        stream = msgspec.structs.replace(publication.stream, extra_info=message.extra_info)
        await self._change(member, publication, stream, message.seq)
        if publication.told and member.room is not None:
            member.room.tell(StreamExtraInfoNotice((stream,)), session_id=member.session_id)

    async def set_device_state(self, member: Member, message: SetDeviceState) -> None:
        """Say what camera and microphone of an own stream do; 1000017, 1003053, 1002073."""
        policy.check_device_state(message.camera)
        policy.check_device_state(message.microphone)
        publication = self._own(member, message.stream_id)
        self._rates.check_stream_change(member)
        stream = msgspec.structs.replace(
            publication.stream, camera=message.camera, microphone=message.microphone
        )
        await self._change(member, publication, stream, message.seq)
        if publication.told and member.room is not None:
            notice = DeviceStateNotice(stream.stream_id, message.camera, message.microphone)
            member.room.tell(notice, session_id=member.session_id)

    async def _change(self, member: Member, publication: Publication, stream: Stream, seq: int) -> None:
        publication.stream = stream
        await self._publishing.store(member, publication)
        check_present(member)
        member.send(Ok(seq))

    async def list(self, member: Member, message: StreamList) -> None:
        """The live streams of the room, a part at a time."""
        found = await self._context.registry.room_streams(
            member.app_id, member.room_id, after=message.after, limit=LISTED_AT_ONCE + 1
        )
        check_present(member)
        part: list[Stream] = []
        size, more = 0, len(found) > LISTED_AT_ONCE
        for entry in found[:LISTED_AT_ONCE]:
            if entry.stream is None or (entry.session_id == member.session_id and not message.own):
                continue
            size += len(msgspec.json.encode(entry.stream)) + 1
            if part and size > BATCH_BYTES:
                more = True
                break
            part.append(entry.stream)
        member.send(StreamListOk(message.seq, tuple(part), more))

    def report_quality(self, member: Member, message: ReportQuality) -> None:
        """Tell those who play this user's streams how good its network is; 1000017, 1002073."""
        if not (0 <= message.up <= WORST_QUALITY and 0 <= message.down <= WORST_QUALITY):
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER, f"a quality level is from 0 to {WORST_QUALITY}"
            )
        if not (0 <= message.rtt_ms <= LONGEST_RTT_MS and 0 <= message.lost_permille <= 1000):
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"a round trip has 0 to {LONGEST_RTT_MS} ms, a thousand packets lose 0 to 1000",
            )
        self._rates.check_quality(member)
        member.send(Ok(message.seq))
        notice = NetworkQualityNotice(
            member.user.user_id, message.up, message.down, message.rtt_ms, message.lost_permille
        )
        for publication in member.publications.values():
            self._tell(member, publication, notice, data=False)

    async def subscribe(self, member: Member, message: SubscribeData) -> None:
        """Hear a stream's data, or no longer; 1004002 when there is no such stream."""
        stream_id = parse_stream_id(message.stream_id)
        held = member.data_subscriptions.pop(stream_id, None)
        if held is not None:
            held.cancel()
        if message.on:
            entry = await self._context.registry.stream(member.app_id, stream_id)
            check_present(member)
            if entry is None:
                raise PlayError(ErrorCode.STREAM_NOT_FOUND, f"stream {stream_id!r} does not exist")
            member.data_subscriptions[stream_id] = self._context.bus.subscribe(
                stream_subject(member.app_id, stream_id), partial(self._heard, member, stream_id)
            )
        member.send(Ok(message.seq))

    def _heard(self, member: Member, stream_id: str, payload: bytes) -> None:
        event = decode_stream_event(payload)
        if isinstance(event, StreamNews):
            if event.data:
                member.mailbox.send(event.notice)
        elif isinstance(event, StreamEnded) and (held := member.data_subscriptions.pop(stream_id, None)):
            held.cancel()

    def send_data(self, member: Member, message: StreamData) -> None:
        """Send bytes to the subscribers of an own stream's data, in order; 1009039."""
        publication = publication_of(member, message.stream_id)
        if publication is None or not publication.answered or not 0 < len(message.content) <= LONGEST_DATA:
            raise RoomError(
                ErrorCode.SEQUENTIAL_DATA_SEND_FAILED,
                f"data has 1 to {LONGEST_DATA} bytes and goes over an own stream",
                hint="publish the stream first",
            )
        member.send(Ok(message.seq))
        self._tell(member, publication, DataNotice(message.stream_id, message.content), data=True)

    def _tell(self, member: Member, publication: Publication, notice: ServerMessage, *, data: bool) -> None:
        self._context.bus.publish(
            stream_subject(member.app_id, publication.stream.stream_id),
            encode_event(StreamNews(encode(notice), data)),
        )

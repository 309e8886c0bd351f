"""What is held, in plain values for the debug snapshot: without tokens, secrets or SDP."""

from __future__ import annotations

from typing import Any

from sanderling.server.rooms.member import Member
from sanderling.server.rooms.room import Room

__all__ = ["describe_room"]


def describe_room(room: Room) -> dict[str, Any]:
    """One room with its members on this node."""
    return {
        "app_id": room.app_id,
        "room_id": room.room_id,
        "members": [_describe_member(member) for member in room.members.values()],
    }


def _describe_member(member: Member) -> dict[str, Any]:
    return {
        "user_id": member.user.user_id,
        "session_id": member.session_id,
        "state": member.state.value,
        "present": member.present,
        "connected": member.mailbox.attached,
        "kept_bytes": member.mailbox.kept_bytes,
        "origin": member.origin,
        "custom_data": member.custom_data,
        "viewer": member.viewer.session if member.viewer else None,
        "publications": [
            {
                "channel": p.channel,
                "stream_id": p.stream.stream_id,
                "session": p.handle.session,
                "live": p.live,
                "tracks": [f"{track.kind} {track.codec}" for track in p.stream.tracks],
            }
            for p in member.publications.values()
        ],
        "plays": [
            {
                "stream_id": play.stream_id,
                "slot": play.ok.slot if play.ok else None,
                "resource_mode": play.ok.resource_mode if play.ok else None,
                "flowing": play.flowing,
            }
            for play in member.plays.values()
        ],
    }

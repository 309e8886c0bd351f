"""Rooms, users and streams: who may do what. Takes messages in, emits messages out; knows no HTTP and no socket."""

from __future__ import annotations

from sanderling.server.rooms.manager import RoomManager
from sanderling.server.rooms.member import Connection, Outbox

__all__ = ["Connection", "Outbox", "RoomManager"]

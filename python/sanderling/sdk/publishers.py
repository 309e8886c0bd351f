"""Which publisher a stream gets: one to the server, or one to a CDN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanderling.enums import Channel
from sanderling.sdk.config import PublisherConfig
from sanderling.sdk.publishing import Publisher
from sanderling.sdk.sources import MediaSources

if TYPE_CHECKING:
    from sanderling.sdk.room import Room

__all__ = ["publisher_for"]


def publisher_for(
    room: Room, stream_id: str, sources: MediaSources, config: PublisherConfig, channel: Channel
) -> Publisher:
    """A publisher to the server, or to the CDN that the channel was given."""
    target = room.direct.get(channel)
    if target is None:
        return Publisher(room, stream_id, sources, config, channel)
    from sanderling.sdk.cdn_publishing import DirectPublisher

    return DirectPublisher(room, stream_id, sources, config, channel, target)

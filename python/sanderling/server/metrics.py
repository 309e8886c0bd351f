"""Prometheus metrics, read from the parts at scrape time; nothing is counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from sanderling.server.lifecycle import Services

__all__ = ["CONTENT_TYPE", "render_metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_GAUGES = {
    "rooms": "Rooms with at least one member",
    "users": "Users in rooms",
    "streams": "Streams being published",
    "viewers": "Viewer transports",
    "plays": "Streams being played, summed over users",
    "connections": "Signalling connections",
}
_MEDIA_GAUGES = {"sessions", "bindings", "events_waiting"}


class _Reader(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        services = self._services
        counts = services.rooms.counts()
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"sanderling_{name}", text, value=counts[name])
        observer = services.observer
        messages = CounterMetricFamily(
            "sanderling_messages_received", "Valid messages by type", labels=["type"]
        )
        for kind, count in sorted(observer.received.items()):
            messages.add_metric([kind], count)
        yield messages
        yield CounterMetricFamily("sanderling_messages_junk", "Messages that were none", value=observer.junk)
        yield CounterMetricFamily("sanderling_messages_sent", "Messages sent", value=observer.sent)
        closed = CounterMetricFamily(
            "sanderling_connections_closed", "Ended connections by cause", labels=["cause"]
        )
        for cause, count in sorted(observer.closed.items()):
            closed.add_metric([cause], count)
        yield closed
        errors = CounterMetricFamily("sanderling_errors", "Error replies by code", labels=["code"])
        for code, count in sorted(services.rooms.errors.items()):
            errors.add_metric([str(code)], count)
        yield errors
        for name, value in sorted(services.engine.counters().items()):
            if name in _MEDIA_GAUGES:
                yield GaugeMetricFamily(f"sanderling_media_{name}", f"Media engine: {name}", value=value)
            else:
                yield CounterMetricFamily(f"sanderling_media_{name}", f"Media engine: {name}", value=value)


def render_metrics(services: Services) -> bytes:
    """Return the metrics in Prometheus' text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Reader(services))
    return generate_latest(registry)

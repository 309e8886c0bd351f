"""Prometheus metrics, read from the parts at scrape time; nothing is counted twice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from sanderling.server.lifecycle import Services

__all__ = ["CONTENT_TYPE", "added_delay_metric", "render_metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_GAUGES = {
    "rooms": "Rooms with at least one member",
    "users": "Users in rooms",
    "streams": "Streams being published",
    "viewers": "Viewer transports",
    "plays": "Streams being played, summed over users",
    "connections": "Signalling connections",
}
_MEDIA_GAUGES = {"sessions", "bindings", "events_waiting", "gso"}


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
        yield added_delay_metric(services.engine.added_delay())


def added_delay_metric(histogram: dict[str, Any]) -> HistogramMetricFamily:
    """Return flushes by the time the workers held what left in them; of the engine's buckets those at doublings.

    ``histogram``: as from ``MediaEngine.added_delay``, in microseconds; the metric is in seconds.
    """
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip(histogram["bounds_us"], histogram["counts"], strict=True):
        total += count
        if math.isinf(bound):
            buckets.append(("+Inf", total))
        elif bound.is_integer() and int(bound).bit_count() == 1:
            buckets.append((repr(bound / 1e6), total))
    text = "Time from the kernel's receive stamp to the return of the send, per flush"
    return HistogramMetricFamily(
        "sanderling_media_added_delay_seconds", text, buckets=buckets or [("+Inf", 0)], sum_value=None
    )


def render_metrics(services: Services) -> bytes:
    """Return the metrics in Prometheus' text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Reader(services))
    return generate_latest(registry)

"""A run as the participants report it, for tests of what is made of it."""

from __future__ import annotations

from sanderling.demo import reports
from sanderling.demo.collector import Collector

MS = 1_000_000
T0 = 1_760_000_000_000_000_000


def session(frames: int = 250, delay_ms: int = 60, *, ended: bool = True) -> Collector:
    """A collector that has seen a clean run of ``frames`` frames, each ``delay_ms`` late, watched from the tenth on."""
    collector = Collector()
    script: list[tuple[str, reports.Report]] = [
        ("host", reports.RoomStateChanged("LOGINING")),
        ("host", reports.RoomStateChanged("LOGINED")),
        ("host", reports.LoggedIn(50.0)),
        ("host", reports.PublisherStateChanged("PUBLISH_REQUESTING")),
        ("host", reports.PublisherStateChanged("PUBLISHING")),
        ("viewer", reports.RoomStateChanged("LOGINING")),
        ("viewer", reports.RoomStateChanged("LOGINED")),
        ("viewer", reports.LoggedIn(77.0)),
        ("viewer", reports.PlayerStateChanged("PLAY_REQUESTING")),
        ("viewer", reports.PlayerStateChanged("PLAYING")),
        ("viewer", reports.Play("demo-film", "ONLY_L3")),
        ("viewer", reports.FirstFrame(123.0, 1280, 720)),
        ("host", reports.Sent([(n, T0 + n * 40 * MS) for n in range(frames)])),
        (
            "viewer",
            reports.Received(
                [(n, T0 + n * 40 * MS, T0 + (n * 40 + delay_ms) * MS) for n in range(10, frames)]
            ),
        ),
        ("viewer", reports.Statistics(1280, 720, "VP8", 1500.0, 9_600.0, 0.002)),
    ]
    if ended:
        script.append(("viewer", reports.WatchingEnded(T0 + (frames * 40 + delay_ms) * MS)))
    for role, report in script:
        collector.apply(role, report)
    return collector

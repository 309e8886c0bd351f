"""Cost of one event from a worker thread to Python: pushed natively, taken in batches of 512 by one wake-up."""

from __future__ import annotations

import statistics

import msgspec

from sanderling.bridge.engine import load_extension

EVENTS = 200_000
ROUNDS = 7


class EventCost(msgspec.Struct, frozen=True):
    """Result of the bench, nanoseconds per event."""

    events: int
    rounds: int
    ns: dict[str, float]

    def line(self) -> str:
        """Return the figures as one line."""
        ns = self.ns
        return (
            f"{ns['median']:.0f} ns per event (best {ns['min']:.0f}), {self.rounds} rounds of {self.events}"
        )


def measure(events: int = EVENTS, rounds: int = ROUNDS) -> EventCost:
    """Measure ``rounds`` times with ``events`` events each; the first round only warms up."""
    bench = load_extension().bench_event_cost
    bench(events)
    costs = [bench(events) for _ in range(rounds)]
    spread = {"min": min(costs), "median": statistics.median(costs), "max": max(costs)}
    return EventCost(events, rounds, {name: round(value, 1) for name, value in spread.items()})

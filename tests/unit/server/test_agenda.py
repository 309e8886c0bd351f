"""The agenda of a node, and the token buckets' table."""

from __future__ import annotations

from sanderling.server.rooms import rates
from sanderling.server.rooms.agenda import COMPACT_FROM, Agenda


def test_what_is_due_is_called_in_order_and_once():
    agenda, called = Agenda(), []
    for due in (3, 1, 2, 1):
        agenda.at(due, lambda due=due: called.append(due))
    agenda.run(0.9)
    assert called == []
    agenda.run(2)
    agenda.run(2)
    assert called == [1, 1, 2]
    assert len(agenda) == 1


def test_a_call_may_make_and_cancel_appointments():
    agenda, called = Agenda(), []
    late = agenda.at(2, lambda: called.append("late"))

    def first():
        late.cancel()
        agenda.at(1, lambda: called.append("now"))

    agenda.at(1, first)
    agenda.run(5)
    assert called == ["now"]
    assert len(agenda) == 0


def test_cancelled_appointments_do_not_pile_up():
    agenda = Agenda()
    kept = agenda.at(5, lambda: None)
    for _ in range(100 * COMPACT_FROM):
        agenda.at(10, lambda: None).cancel()
    assert len(agenda) == 1
    assert len(agenda._heap) <= COMPACT_FROM
    kept.cancel()
    kept.cancel()
    assert len(agenda) == 0


async def test_the_table_of_rates_is_bounded(world, monkeypatch):
    monkeypatch.setattr(rates, "LARGEST_TABLE", 10)
    project = await world.project()
    limits = rates.Rates(lambda: world.now)
    for number in range(100):
        limits.check_login(project, f"room{number}")
    assert len(limits._buckets) == 10

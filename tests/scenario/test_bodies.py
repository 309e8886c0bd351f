"""Each body of ``bodies`` in the lab and on real sockets; from the browser: ``interop/test_room_bodies.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenario.bodies import BODIES, Body
from scenario.lab import lab
from scenario.sockets_stage import sockets_stage
from scenario.virtual_clock import run_virtually


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_in_the_lab(body: Body) -> None:
    async def play() -> None:
        async with lab() as stage:
            await body(stage)

    run_virtually(play())


@pytest.mark.processes
@pytest.mark.timeout(120)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
async def test_on_real_sockets(body: Body, tmp_path: Path) -> None:
    async with sockets_stage(tmp_path / "state") as stage:
        await body(stage)

"""What the debug page shows in its states, and what it says about errors. Pictures of it go to .build/screenshots."""

from __future__ import annotations

import asyncio
import time

import pytest

from interop.browser import INSECURE_HOST, DebugPage, chromium
from interop.conftest import NewPage
from sanderling.server.storage import Project
from sanderling.testing.server import TestServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_link_fills_the_form_and_the_buttons_follow_the_state(new_page: NewPage) -> None:
    alice = await new_page()
    await alice.open("alice", stream="film", mode=2, codec="VP9")
    page = alice.page
    for field, value in (
        ("room", "interop"),
        ("user", "alice"),
        ("stream", "film"),
        ("mode", "2"),
        ("codec", "VP9"),
    ):
        assert await page.locator(f"#{field}").input_value() == value
    assert await page.get_by_role("button", name="Test picture").is_disabled()
    await alice.screenshot("before-login")

    await page.get_by_role("button", name="Log in").click()
    await alice.wait_room("LOGINED")
    assert await page.get_by_role("button", name="Log in").is_disabled()
    assert await page.locator(".tile").count() == 0  # the own picture only while a host
    await alice.screenshot("logged-in")

    await page.get_by_role("button", name="Test picture").click()
    await alice.wait_published()
    assert await page.locator(".tile[data-local=true]").count() == 1
    await page.get_by_role("button", name="Stop").click()
    await alice.wait_gone("film")

    await page.get_by_role("button", name="Camera").click()
    await alice.wait_published()
    await page.get_by_role("button", name="Log out").click()
    await alice.wait_room("LOGOUT")
    await alice.wait_gone("film")
    assert await page.get_by_role("button", name="Log in").is_enabled()


async def test_every_field_has_a_name_for_screen_readers(new_page: NewPage) -> None:
    alice = await new_page()
    await alice.open("alice")
    for name in ("AppID", "Server", "RoomID", "UserID", "StreamID", "Token", "Resource mode", "Codec"):
        assert await alice.page.get_by_label(name, exact=False).count() == 1, name


@pytest.mark.parametrize(
    ("expired", "code", "words"),
    [(True, 1102018, "expired"), (False, 1102016, "one user")],
    ids=["expired", "of another user"],
)
async def test_a_token_that_does_not_fit_is_named(
    expired: bool, code: int, words: str, new_page: NewPage, host: TestServer, project: Project
) -> None:
    alice = await new_page()
    token = (
        host.token(project, "alice", expire_s=60, now=time.time() - 3600)
        if expired
        else host.token(project, "mallory")
    )
    await alice.open("alice", token=token, autoplay=1)
    found, sentence = await alice.alert()
    assert (found, str(code) in sentence, words in sentence) == (code, True, True)
    await alice.wait_room("LOGIN_FAILED")
    assert token not in await alice.log()
    if expired:
        await alice.screenshot("token-expired")


async def test_l3_that_is_off_is_named_and_works_when_switched_on(
    new_page: NewPage, host: TestServer, project: Project
) -> None:
    await host.set_l3(project, False)
    alice, bob = await new_page(), await new_page()
    await alice.open("alice", publish="test", stream="film")
    await alice.wait_published()
    await bob.open("bob", autoplay=1, mode=2)
    found, sentence = await bob.alert()
    assert found == 1104038
    assert "1104038" in sentence and "--l3" in sentence
    await bob.screenshot("l3-off")
    await host.set_l3(project, True)
    await bob.page.get_by_role("button", name="Play again").click()
    await bob.wait_frames("film")
    assert await bob.page.locator("#alert").is_hidden()


async def test_a_stream_id_in_use_is_named(new_page: NewPage) -> None:
    alice, bob = await new_page(), await new_page()
    await alice.open("alice", publish="test", stream="film")
    await alice.wait_published()
    await bob.open("bob", publish="test", stream="film", room="elsewhere")
    found, sentence = await bob.alert()
    assert found == 1003028
    assert "streamID is unique" in sentence
    assert await bob.page.locator(".tile[data-local=true]").count() == 0


async def test_a_server_that_does_not_answer_is_named(new_page: NewPage) -> None:
    alice = await new_page()
    await alice.open("alice", autoplay=1, server="http://127.0.0.1:9")
    found, sentence = await alice.alert()
    assert found == 1102013
    assert "server" in sentence


async def test_plain_http_says_why_the_camera_is_off_and_the_test_picture_works(
    new_page: NewPage, host: TestServer
) -> None:
    alice = await new_page()
    await alice.open("alice", base=f"http://{INSECURE_HOST}:{host.port}", publish="test", stream="film")
    note = alice.page.locator("#capture-note")
    await note.wait_for(state="visible")
    text = await note.inner_text()
    assert "HTTPS" in text and "sanderling serve --tls self-signed" in text
    await alice.wait_published()
    await alice.page.get_by_role("button", name="Stop").click()
    assert await alice.page.get_by_role("button", name="Camera").is_disabled()
    await alice.screenshot("plain-http")


async def test_a_phone_has_everything_within_its_width(new_page: NewPage) -> None:
    alice = await new_page()
    await alice.open("alice", publish="test", stream="film")
    await alice.wait_published()
    phone = await new_page(
        viewport={"width": 390, "height": 844}, device_scale_factor=2, has_touch=True, is_mobile=True
    )
    await phone.open("bob")
    await phone.screenshot("phone-before-login")
    await phone.page.get_by_role("button", name="Log in").tap()
    await phone.wait_frames("film")
    overflow = await phone.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    smallest = await phone.page.evaluate(
        "Math.min(...[...document.querySelectorAll('button')].filter(b => b.offsetParent).map(b => b.offsetHeight))"
    )
    assert smallest >= 44
    await phone.screenshot("phone-viewer")


async def test_a_page_that_nobody_touched_plays_without_sound_and_offers_it(
    new_page: NewPage, host: TestServer, project: Project
) -> None:
    alice = await new_page()
    await alice.open("alice", publish="test", stream="film")
    await alice.wait_published()
    async with chromium(sound_at_once=False) as untouched:
        bob = DebugPage(await untouched.new_page(), host, project)
        await bob.open("bob", autoplay=1)
        # Whatever else asks the page something counts as its user's touch.
        devtools = await bob.page.context.new_cdp_session(bob.page)

        async def look(expression: str) -> object:
            answer = await devtools.send("Runtime.evaluate", {"expression": expression, "userGesture": False})
            return answer["result"].get("value")

        async with asyncio.timeout(20):
            while not await look("Number(document.querySelector('.tile')?.dataset.readable ?? 0) >= 5"):
                await asyncio.sleep(0.05)
        assert await look("document.querySelector('.tile video').muted") is True
        await bob.screenshot("muted-first")
        await bob.page.get_by_role("button", name="Tap for sound").click()
        await bob.wait("() => !document.querySelector('.tile video').muted")
        await bob.page.get_by_role("button", name="Tap for sound").wait_for(state="hidden")
        await bob.wait_frames("film")
        assert bob.errors == []


async def test_the_same_user_elsewhere_ends_the_first_page_in_words(new_page: NewPage) -> None:
    first, second = await new_page(), await new_page()
    await first.open("alice", autoplay=1)
    await first.wait_room("LOGINED")
    await second.open("alice", autoplay=1)
    await second.wait_room("LOGINED")
    found, sentence = await first.alert()
    assert (found, "1002050" in sentence) == (1002050, True)
    await first.wait_room("KICKOUT")
    assert await first.page.get_by_role("button", name="Log in").is_enabled()


async def test_a_screen_can_be_published(new_page: NewPage) -> None:
    alice, bob = await new_page(), await new_page()
    await alice.open("alice", stream="screen", autoplay=1)
    await alice.wait_room("LOGINED")
    await alice.page.get_by_role("button", name="Screen").click()
    await alice.wait_published()
    await bob.open("bob", autoplay=1)
    await bob.wait("() => Number(document.querySelector('.tile')?.dataset.frames ?? 0) >= 2")

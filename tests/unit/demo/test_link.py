"""The link of the debug page."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from sanderling.demo.link import debug_link


def test_the_link_says_everything_and_keeps_the_token_in_the_fragment() -> None:
    link = urlsplit(debug_link("http://h:1/live/", app_id=7, room_id="a b", user_id="bob", token="04A+/="))
    assert (link.netloc, link.path) == ("h:1", "/live/debug/")
    assert parse_qs(link.query) == {
        "appid": ["7"],
        "room": ["a b"],
        "user": ["bob"],
        "mode": ["2"],
        "autoplay": ["1"],
    }
    assert parse_qs(link.fragment) == {"token": ["04A+/="]}

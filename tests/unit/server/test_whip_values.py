"""The values of WHIP and WHEP: headers, offers, fragments, and the status each code gets."""

from __future__ import annotations

import pytest
from starlette.responses import Response

from sanderling.enums import ResourceMode
from sanderling.errors import ErrorCode, PublishError, RateLimited, SanderlingError, TokenError
from sanderling.server.http.headers import (
    ANY,
    accepts,
    bearer_token,
    ice_server_links,
    if_match,
    matches,
    media_type,
)
from sanderling.server.http.media_sessions import SessionKind, Target
from sanderling.server.http.offers import check_offer, kinds_of, read_mode
from sanderling.server.http.problem import RequestRefused, problem, status_of
from sanderling.server.http.sdp import (
    IceCredentials,
    SdpError,
    credentials_of,
    read_description,
    replace_credentials,
)
from sanderling.server.http.sdp_fragment import read_candidate, read_fragment, write_fragment
from sanderling.signaling.messages import IceServer
from sanderling.testing.fake_engine import make_offer

UFRAG, PWD = "EsAw", "P2uYro0UCOQ4zxjKXaWCBui1"
ICE = f"a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PWD}\r\n"
CANDIDATE = "1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw"


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        ("", True),
        ("*/*", True),
        ("application/sdp", True),
        ("Application/SDP;q=0.5", True),
        ("application/*, text/html", True),
        ("application/problem+json", False),
        ("text/html", False),
        ("application/sdp;q=0, */*", False),
        ("*/*;q=0", False),
        ("application/*;q=0, application/sdp", True),
        ("application/sdp;q=high", False),
        (",;,", False),
    ],
)
def test_whether_an_offer_may_come_back(accept: str, takes: bool) -> None:
    assert accepts(accept, "application/sdp") is takes


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  04ab+/==", "04ab+/=="),
        ("Bearer", ""),
        ("Bearer a b", ""),
        ("Basic abc", ""),
        ("", ""),
    ],
)
def test_bearer_tokens(header: str, token: str) -> None:
    assert bearer_token(header) == token


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("*", {ANY}),
        ('"*"', {ANY}),
        ('"a"', {'"a"'}),
        ('"a", W/"b" ,"c,d"', {'"a"', '"c,d"'}),
        ("a", set()),
        ('"a" "b"', {'"a"'}),
        ("", set()),
    ],
)
def test_entity_tags(header: str, tags: set[str]) -> None:
    assert if_match(header) == tags


def test_a_condition_holds_for_its_tag_and_for_the_star() -> None:
    assert matches(if_match('"x", "y"'), '"y"')
    assert matches(if_match("*"), '"y"')
    assert not matches(if_match('W/"y"'), '"y"')


def test_media_types() -> None:
    assert media_type("Application/SDP; charset=utf-8") == "application/sdp"
    assert media_type("") == ""


def test_links_escape_what_a_name_may_hold() -> None:
    servers = [IceServer(("turn:a.example?transport=udp", "stun:a.example"), '1:al\\ice"', "c+/=")]
    turn, stun = ice_server_links(servers)
    assert turn == (
        '<turn:a.example?transport=udp>; rel="ice-server"; username="1:al\\\\ice\\""; credential="c+/="; '
        'credential-type="password"'
    )
    assert stun == '<stun:a.example>; rel="ice-server"'


def test_what_an_url_names() -> None:
    assert Target.parse("7", "room", "cam") == Target(7, "room", "cam")  # type: ignore[arg-type]  # a plain number
    for path, code in [
        (("0", "r", "s"), ErrorCode.APP_ID_ZERO),
        (("-1", "r", "s"), ErrorCode.APP_ID_INCORRECT),
        (("٣", "r", "s"), ErrorCode.APP_ID_INCORRECT),
        (("9" * 5000, "r", "s"), ErrorCode.APP_ID_INCORRECT),
        (("1", "r/", "s"), ErrorCode.ROOM_ID_INVALID_CHARACTER),
        (("1", "r", "a b"), ErrorCode.STREAM_ID_INVALID_CHARACTER),
    ]:
        with pytest.raises(SanderlingError) as caught:
            Target.parse(*path)
        assert caught.value.code is code, path


def test_offers_that_are_taken() -> None:
    for kind, direction in ((SessionKind.WHIP, "sendonly"), (SessionKind.WHEP, "recvonly")):
        for given in (direction, "sendrecv"):
            assert kinds_of(check_offer(kind, make_offer(given))) == {"audio", "video"}
    assert kinds_of(check_offer(SessionKind.WHIP, make_offer(audio=0))) == {"video"}
    data = make_offer() + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"
    assert kinds_of(check_offer(SessionKind.WHIP, data)) == {"audio", "video"}


@pytest.mark.parametrize(
    ("offer", "status"),
    [
        ("", 400),
        ("v=0\r\n", 400),
        ("v=0\r\nnonsense\r\n", 400),
        ("v=0\r\nm=audio\r\n", 400),
        ("v=0\r\n" + "a=x\r\n" * 6000, 400),
        (make_offer() + "a=ice-ufrag:x\r\n", 400),
        (make_offer(video=2), 422),
        (make_offer("recvonly"), 422),
        (make_offer("inactive"), 422),
        (make_offer() + "a=setup:passive\r\n", 422),
        (make_offer().replace("t=0 0", "t=0 0\r\na=ice-lite"), 422),
        ("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", 422),
    ],
)
def test_offers_that_are_not(offer: str, status: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        check_offer(SessionKind.WHIP, offer)
    assert caught.value.status == status


def test_a_section_in_the_bundle_only_counts() -> None:
    offer = make_offer().replace("m=video 9", "m=video 0")
    assert kinds_of(read_description(offer)) == {"audio"}
    assert kinds_of(read_description(offer + "a=bundle-only\r\n")) == {"audio", "video"}


def test_modes() -> None:
    assert [read_mode(mode) for mode in (None, "default", "rtc", "L3")] == [
        ResourceMode.DEFAULT,
        ResourceMode.DEFAULT,
        ResourceMode.ONLY_RTC,
        ResourceMode.ONLY_L3,
    ]
    with pytest.raises(SanderlingError):
        read_mode("cdn")


def test_a_restart_is_the_same_offer_with_other_credentials() -> None:
    offer = make_offer() + ICE + f"a=candidate:{CANDIDATE}\r\na=end-of-candidates\r\n"
    fresh = IceCredentials("abcd", "x" * 22)
    restarted = replace_credentials(offer, fresh)
    assert read_description(restarted).credentials == fresh
    assert restarted == make_offer() + "a=ice-ufrag:abcd\r\na=ice-pwd:" + "x" * 22 + "\r\n"
    assert "x" * 22 not in repr(fresh), "a password is no text for a log"


def test_fragments() -> None:
    fragment = read_fragment(
        f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n{ICE}a=candidate:{CANDIDATE}\r\na=end-of-candidates\r\n"
    )
    assert fragment.credentials == IceCredentials(UFRAG, PWD)
    assert fragment.candidates == (CANDIDATE,)
    assert fragment.end_of_candidates
    # Several sections of a bundle name the same credentials.
    assert read_fragment(ICE + ICE).credentials == IceCredentials(UFRAG, PWD)
    assert read_fragment("a=end-of-candidates\n").credentials is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "a=mid:0\r\n",
        "m=audio\r\n" + ICE,
        f"a=ice-ufrag:{UFRAG}\r\n",
        f"a=ice-pwd:{PWD}\r\n",
        f"a=ice-ufrag:abc\r\na=ice-pwd:{PWD}\r\n",
        f"a=ice-ufrag:ab d\r\na=ice-pwd:{PWD}\r\n",
        ICE + ICE.replace(UFRAG, "Other"),
        ICE + f"a=candidate:{CANDIDATE}\r\n" * 257,
    ],
)
def test_fragments_that_are_none(body: str) -> None:
    with pytest.raises(SdpError):
        read_fragment(body)


@pytest.mark.parametrize(
    "candidate",
    [
        "1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0",
        "1 1 UDP 1 2001:db8::1 1 typ srflx raddr 0.0.0.0 rport 0",
        "1 1 udp 2113937151 0b5d7a3a-5a5e-4f7c-9f4e-2d2a4d6c2c11.local 50000 typ host",
        "a+/Z 256 dccp 2147483647 192.0.2.1 65535 typ relay",
    ],
)
def test_candidates(candidate: str) -> None:
    assert read_candidate(candidate) == candidate


@pytest.mark.parametrize(
    "candidate",
    [
        "",
        "1 1 udp 1 192.0.2.1 1",
        "1 0 udp 1 192.0.2.1 1 typ host",
        "1 257 udp 1 192.0.2.1 1 typ host",
        "1 1 udp 0 192.0.2.1 1 typ host",
        "1 1 udp 2147483648 192.0.2.1 1 typ host",
        "1 1 udp 1 192.0.2.1 65536 typ host",
        "1 1 udp 1 192.0.2.1 x typ host",
        "1 1 udp 1 192.0.2.1\x00 1 typ host",
        "1 1 udp 1 192.0.2.1 1 typ host dangling",
    ],
)
def test_candidates_that_are_none(candidate: str) -> None:
    with pytest.raises(SdpError):
        read_candidate(candidate)


def test_the_fragment_of_an_answer_reads_back() -> None:
    answer = read_description(
        "v=0\r\na=ice-lite\r\na=group:BUNDLE 1\r\nm=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n{ICE}a=candidate:{CANDIDATE}\r\n"
    )
    text = write_fragment(answer)
    assert text.splitlines()[:4] == [
        "a=ice-lite",
        "a=group:BUNDLE 1",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "a=mid:1",
    ]
    back = read_fragment(text)
    assert (back.credentials, back.candidates, back.end_of_candidates) == (
        answer.credentials,
        (CANDIDATE,),
        True,
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SanderlingError(ErrorCode.ILLEGAL_PARAMETER), 400),
        (TokenError(ErrorCode.TOKEN_MISSING), 401),
        (TokenError(ErrorCode.AUTHENTICATION_FAILED, context={"step": "decrypt"}), 401),
        (TokenError(ErrorCode.AUTHENTICATION_FAILED, context={"step": "privilege"}), 403),
        (PublishError(ErrorCode.STREAM_ID_EXISTS), 409),
        (PublishError(ErrorCode.PUBLISH_FAILED, context={"reason": "bad_offer"}), 400),
        (PublishError(ErrorCode.PUBLISH_FAILED, context={"reason": "too_many_sessions"}), 503),
        (PublishError(ErrorCode.PUBLISH_FAILED, context={"reason": "internal"}), 500),
        (PublishError(ErrorCode.PUBLISH_FAILED), 503),
        (RateLimited(ErrorCode.RATE_LIMITED_SIGNALLING), 429),
        (SanderlingError(ErrorCode.INTERNAL_ERROR), 500),
    ],
)
def test_status_of_a_code(error: SanderlingError, status: int) -> None:
    assert status_of(error) == status


def test_every_token_code_is_a_401() -> None:
    assert {status_of(TokenError(code)) for code in ErrorCode if 1002074 <= code <= 1002080} == {401}


def test_headers_of_problems() -> None:
    def headers(error: SanderlingError) -> Response:
        return problem(error, headers={"access-control-allow-origin": "*"})

    assert (
        headers(TokenError(ErrorCode.TOKEN_MISSING)).headers["www-authenticate"]
        == 'Bearer realm="sanderling"'
    )
    assert "invalid_token" in headers(TokenError(ErrorCode.TOKEN_EXPIRED)).headers["www-authenticate"]
    assert headers(RateLimited(ErrorCode.RATE_LIMITED_APP, retry_after=0.2)).headers["retry-after"] == "1"
    full = headers(PublishError(ErrorCode.PUBLISH_FAILED, context={"reason": "busy"}))
    assert int(full.headers["retry-after"]) > 0
    assert "www-authenticate" not in full.headers


def test_credentials_are_those_of_the_whole_description():
    text = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:abcd\r\na=ice-pwd:" + "p" * 22 + "\r\n"
    for offer in (text, text.replace("\r", ""), text + text[5:].replace("abcd", "efgh")):
        assert (
            credentials_of(offer) == read_description(offer).credentials == IceCredentials("abcd", "p" * 22)
        )
    assert credentials_of("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n") is None

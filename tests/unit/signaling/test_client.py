"""The client's state machine: order, time-outs, one end. No clock, no socket."""

from __future__ import annotations

import msgspec
import pytest

from sanderling.errors import ErrorCode, PlayError, RateLimited, SanderlingError, TokenError
from sanderling.signaling import codec, messages
from sanderling.signaling.client import ClientState, Ended, Failed, Noticed, Replied, SignalingClient

USER = messages.User(user_id="alice", user_name="Alice")


def login(client: SignalingClient, now: float = 0.0) -> int:
    return client.login(app_id=7, room_id="r", user=USER, token="t", now=now)


def sent(client: SignalingClient) -> list[messages.ClientMessage]:
    return [codec.decode_client(data) for data in client.take_outgoing()]


def logged_in(heartbeat_ms: int = 1000) -> SignalingClient:
    client = SignalingClient()
    seq = login(client)
    reply(client, messages.LoginOk(seq, session_id="s", server_ms=0, heartbeat_ms=heartbeat_ms, max_plays=12))
    client.take_events()
    client.take_outgoing()
    return client


def reply(client: SignalingClient, message: messages.ServerMessage, now: float = 0.0) -> None:
    client.receive(codec.encode(message), now=now)


def test_login_carries_what_was_given_and_its_reply_logs_in() -> None:
    client = SignalingClient()
    seq = login(client)
    assert client.state is ClientState.LOGGING_IN
    [message] = sent(client)
    assert message == messages.Login(seq=seq, app_id=7, room_id="r", user=USER, token="t", resumable=True)

    answer = messages.LoginOk(seq, session_id="s", server_ms=0, heartbeat_ms=1000, max_plays=12)
    reply(client, answer)
    assert client.state is ClientState.LOGGED_IN
    assert client.take_events() == [Replied(seq, answer)]


def test_commands_before_the_login_follow_it_in_order() -> None:
    client = SignalingClient()
    publish = client.publish("s1", "offer", now=0.0)
    play = client.play("s2", now=0.0)
    assert client.take_outgoing() == []
    assert client.wake_at() is None
    login(client)
    messages_sent = sent(client)
    assert [type(message) for message in messages_sent] == [messages.Login, messages.Publish, messages.Play]
    # A server takes a number that does not rise for one that it has seen.
    assert [message.seq for message in messages_sent] == [1, publish, play]
    assert 1 < publish < play


def test_commands_right_after_the_login_do_not_wait_for_its_reply() -> None:
    client = SignalingClient()
    login(client)
    client.publish("s1", "offer", now=0.0)
    assert [type(message) for message in sent(client)] == [messages.Login, messages.Publish]


def test_a_refused_login_fails_what_follows_it_and_ends_once() -> None:
    client = SignalingClient()
    seq = login(client)
    publish = client.publish("s1", "offer", now=0.0)
    reply(client, messages.Error(code=1002078, message="expired", seq=seq))
    reply(client, messages.Error(code=1000002, message="not logged in", seq=publish))
    client.disconnected()
    failed, also_failed, ended = client.take_events()
    assert isinstance(failed, Failed)
    assert isinstance(also_failed, Failed)
    assert {failed.seq, also_failed.seq} == {seq, publish}
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, TokenError)
    assert ended.error.code == ErrorCode.TOKEN_EXPIRED
    assert not ended.kicked
    assert client.state is ClientState.ENDED


def test_a_refused_request_fails_alone() -> None:
    client = logged_in()
    seq = client.play("s", now=0.0)
    reply(client, messages.Error(code=1004072, message="L3 is off", seq=seq, hint="switch it on"))
    [failed] = client.take_events()
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, PlayError)
    assert failed.error.code == ErrorCode.L3_NOT_ENABLED
    assert failed.error.hint == "switch it on"
    assert client.state is ClientState.LOGGED_IN


def test_a_rate_limit_says_when_to_try_again() -> None:
    client = logged_in()
    seq = client.play("s", now=0.0)
    reply(client, messages.Error(code=1002073, message="too fast", seq=seq, retry_after_ms=2500))
    [failed] = client.take_events()
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, RateLimited)
    assert failed.error.retry_after == 2.5


def test_notices_pass() -> None:
    client = logged_in()
    notice = messages.StreamNotice(update=0, streams=(messages.Stream("s", USER),))
    reply(client, notice)
    assert client.take_events() == [Noticed(notice)]


def test_kicked_ends_with_the_code_and_says_where_from() -> None:
    client = logged_in()
    reply(client, messages.Kicked(code=1002050, message="logged in elsewhere", origin="203.0.113.9"))
    [ended] = client.take_events()
    assert isinstance(ended, Ended)
    assert ended.kicked
    assert ended.error is not None
    assert ended.error.code == ErrorCode.KICKED_BY_SAME_USER
    assert "203.0.113.9" in ended.error.message


def test_heartbeats_are_sent_when_due_and_measure_the_round_trip() -> None:
    client = logged_in(heartbeat_ms=1000)
    assert client.wake_at() == 1.0
    client.handle_timeout(now=0.5)
    assert client.take_outgoing() == []
    client.handle_timeout(now=1.0)
    [beat] = sent(client)
    assert isinstance(beat, messages.Heartbeat)
    reply(client, messages.HeartbeatOk(seq=beat.seq, client_ms=0, server_ms=0), now=1.02)
    assert client.round_trip_ms == pytest.approx(20.0)
    assert client.take_events() == []
    assert client.wake_at() == 2.0


def test_a_silent_server_is_a_lost_connection() -> None:
    client = logged_in(heartbeat_ms=1000)
    client.handle_timeout(now=1.0)
    client.handle_timeout(now=2.9)
    assert client.state is ClientState.LOGGED_IN
    client.handle_timeout(now=3.0)
    [ended] = client.take_events()
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert ended.error.code == ErrorCode.CONNECTION_LOST
    assert client.wake_at() is None


def test_any_message_is_a_sign_of_life() -> None:
    client = logged_in(heartbeat_ms=1000)
    reply(client, messages.UserNotice(update=0, users=(USER,)), now=2.5)
    client.handle_timeout(now=3.0)
    assert client.state is ClientState.LOGGED_IN


def test_a_login_without_an_answer_times_out() -> None:
    client = SignalingClient(request_timeout=5.0)
    login(client, now=10.0)
    assert client.wake_at() == 15.0
    client.handle_timeout(now=15.0)
    ended = client.take_events()[-1]
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert ended.error.code == ErrorCode.LOGIN_TIMEOUT


def test_a_request_without_an_answer_fails_and_a_late_answer_changes_nothing() -> None:
    client = logged_in()
    seq = client.play("s", now=0.0)
    reply(client, messages.UserNotice(update=0, users=(USER,)), now=9.0)
    client.take_events()
    client.handle_timeout(now=10.0)
    [failed] = client.take_events()
    assert isinstance(failed, Failed)
    assert failed.error.code == ErrorCode.PLAY_FAILED
    reply(client, messages.PlayOk(seq=seq, stream_id="s", slot=0, resource_mode=3), now=10.1)
    assert client.take_events() == []


def test_logout_ends_without_an_error_when_answered() -> None:
    client = logged_in()
    seq = client.logout(now=1.0)
    assert sent(client) == [messages.Logout(seq=seq)]
    reply(client, messages.Ok(seq=seq), now=1.1)
    assert client.take_events()[-1] == Ended(None)


@pytest.mark.parametrize("how", ["closed", "time"])
def test_a_logout_that_is_not_confirmed_ends_with_a_lost_connection(how: str) -> None:
    client = logged_in(heartbeat_ms=0)
    client.logout(now=1.0, timeout=2.0)
    if how == "closed":
        client.disconnected()
    else:
        assert client.wake_at() == 3.0
        client.handle_timeout(now=3.0)
    [*_, ended] = client.take_events()
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert ended.error.code == ErrorCode.CONNECTION_LOST
    assert not ended.kicked


def test_logout_before_the_login_ends_at_once() -> None:
    client = SignalingClient()
    publish = client.publish("s", "offer", now=0.0)
    client.logout(now=0.0)
    events = client.take_events()
    assert events[-1] == Ended(None)
    assert next(event.seq for event in events if isinstance(event, Failed)) == publish
    assert client.take_outgoing() == []


def test_commands_after_the_end_fail_at_once() -> None:
    client = logged_in()
    client.disconnected("gone")
    client.take_events()
    seq = client.play("s", now=2.0)
    assert client.take_outgoing() == []
    [failed] = client.take_events()
    assert isinstance(failed, Failed)
    assert (failed.seq, failed.error.code) == (seq, ErrorCode.NOT_LOGGED_IN)


def test_a_closed_connection_is_lost_when_logged_in_and_a_failed_login_before() -> None:
    client = logged_in()
    client.disconnected("going away")
    [ended] = client.take_events()
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert ended.error.code == ErrorCode.CONNECTION_LOST
    assert "going away" in ended.error.message

    early = SignalingClient()
    login(early)
    early.disconnected()
    last = early.take_events()[-1]
    assert isinstance(last, Ended)
    assert last.error is not None
    assert last.error.code == ErrorCode.LOGIN_FAILED


def test_a_second_login_is_refused() -> None:
    client = logged_in()
    with pytest.raises(SanderlingError) as caught:
        login(client)
    assert caught.value.code == ErrorCode.ROOM_COUNT_EXCEEDED


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b'{"type":"nothing"}', b"[]", b"1" * 300_000])
def test_junk_ends_the_session(junk: bytes) -> None:
    client = logged_in()
    client.receive(junk, now=1.0)
    [ended] = client.take_events()
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert ended.error.code == ErrorCode.SESSION_ERROR


def test_unknown_fields_are_ignored() -> None:
    client = logged_in()
    data = msgspec.json.encode({"type": "user_notice", "update": 1, "users": [], "later": True})
    client.receive(data, now=1.0)
    assert client.take_events() == [Noticed(messages.UserNotice(update=1, users=()))]


def test_a_publish_too_large_to_send_fails_with_its_code() -> None:
    client = logged_in()
    seq = client.publish("s", "x" * 300_000, now=0.0)
    assert client.take_outgoing() == []
    [failed] = client.take_events()
    assert isinstance(failed, Failed)
    assert (failed.seq, failed.error.code) == (seq, ErrorCode.ILLEGAL_PARAMETER)

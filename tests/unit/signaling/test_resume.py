"""A session over several connections: nothing lost, nothing twice, and an end when the server has forgotten it."""

from __future__ import annotations

import pytest

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.signaling import codec, messages
from sanderling.signaling.client import (
    ClientState,
    Ended,
    Failed,
    Interrupted,
    Noticed,
    Replied,
    Resumed,
    SignalingClient,
)

USER = messages.User(user_id="alice", user_name="Alice")
NOTICE = messages.UserNotice(update=0, users=(USER,))


def resumable() -> SignalingClient:
    client = SignalingClient()
    seq = client.login(app_id=7, room_id="r", user=USER, token="t", now=0.0)
    reply(
        client,
        messages.LoginOk(
            seq,
            session_id="s",
            server_ms=0,
            heartbeat_ms=1000,
            max_plays=12,
            secret="hush",
            resume_ms=90_000,
        ),
    )
    client.take_events()
    client.take_outgoing()
    return client


def reply(client: SignalingClient, message: messages.ServerMessage, now: float = 0.0) -> None:
    client.receive(codec.encode(message), now=now)


def sent(client: SignalingClient) -> list[messages.ClientMessage]:
    return [codec.decode_client(data) for data in client.take_outgoing()]


def resume(client: SignalingClient, *, taken: int, now: float = 5.0) -> messages.Resume:
    """Have the client resume on a new connection; what it sent, before the answer."""
    client.resume(now=now)
    [asked] = sent(client)
    assert isinstance(asked, messages.Resume)
    reply(client, messages.ResumeOk(asked.seq, taken, server_ms=0, heartbeat_ms=1000), now=now)
    return asked


def test_a_lost_connection_interrupts_and_resume_shows_the_secret() -> None:
    client = resumable()
    client.disconnected("gone")
    [interrupted] = client.take_events()
    assert isinstance(interrupted, Interrupted)
    assert interrupted.error.code == ErrorCode.CONNECTION_LOST
    assert interrupted.seconds == 90.0
    assert client.state is ClientState.INTERRUPTED
    assert client.wake_at() is None
    asked = resume(client, taken=1)
    assert (asked.session_id, asked.secret, asked.received) == ("s", "hush", 0)
    assert "hush" not in repr(asked)
    [resumed] = client.take_events()
    assert isinstance(resumed, Resumed)
    assert client.state is ClientState.LOGGED_IN
    assert client.wake_at() == 6.0


def test_what_is_counted_is_what_the_server_keeps() -> None:
    client = resumable()
    play = client.play("s", now=0.0)
    reply(client, messages.PlayOk(play, "s", 0, 3))
    reply(client, NOTICE)
    reply(client, messages.HeartbeatOk(99, 0, 0))
    other = client.play("t", now=0.0)
    reply(client, messages.Error(code=1004072, message="off", seq=other))
    client.handle_timeout(now=1.0)
    beats = [message for message in sent(client) if isinstance(message, messages.Heartbeat)]
    assert [beat.received for beat in beats] == [3]
    client.disconnected()
    assert resume(client, taken=other).received == 3


def test_only_requests_that_never_arrived_go_out_again_with_their_number() -> None:
    client = resumable()
    arrived = client.play("s1", now=0.0)
    lost = client.play("s2", now=0.0)
    client.take_outgoing()
    client.disconnected()
    while_away = client.request(lambda seq: messages.Broadcast(seq, "hello"), now=2.0)
    assert client.take_outgoing() == []
    client.take_events()
    resume(client, taken=arrived)
    again = sent(client)
    assert [(type(message), message.seq) for message in again] == [
        (messages.Play, lost),
        (messages.Broadcast, while_away),
    ]
    # The missed reply follows, and is an outcome like any other.
    client.take_events()
    reply(client, messages.PlayOk(arrived, "s1", 0, 3))
    [replied] = client.take_events()
    assert isinstance(replied, Replied)
    assert replied.seq == arrived


def test_requests_do_not_run_out_of_time_while_the_connection_is_away() -> None:
    client = resumable()
    seq = client.play("s1", now=0.0)
    client.disconnected()
    client.take_events()
    client.handle_timeout(now=60.0)
    assert client.take_events() == []
    resume(client, taken=seq, now=80.0)
    client.take_events()
    for second in range(81, 90):
        reply(client, NOTICE, now=float(second))
        client.handle_timeout(now=float(second))
    assert {type(event) for event in client.take_events()} == {Noticed}
    client.handle_timeout(now=90.0)
    [failed] = client.take_events()
    assert isinstance(failed, Failed)


def test_a_connection_that_breaks_during_the_resumption_interrupts_again() -> None:
    client = resumable()
    client.disconnected()
    client.resume(now=1.0)
    client.take_events()
    client.disconnected()
    [event] = client.take_events()
    assert isinstance(event, Interrupted)
    resume(client, taken=1)
    assert client.state is ClientState.LOGGED_IN


def test_a_resumption_without_an_answer_interrupts_again() -> None:
    client = resumable()
    client.disconnected()
    client.take_events()
    client.resume(now=1.0)
    assert client.wake_at() == 11.0
    client.handle_timeout(now=11.0)
    [event] = client.take_events()
    assert isinstance(event, Interrupted)
    assert event.error.code == ErrorCode.LOGIN_TIMEOUT


def test_a_session_that_is_gone_ends_with_what_waited_for_it() -> None:
    client = resumable()
    waiting = client.play("s", now=0.0)
    client.disconnected()
    client.take_events()
    client.take_outgoing()
    client.resume(now=1.0)
    [asked] = sent(client)
    reply(client, messages.Error(code=1002057, message="no such session", seq=asked.seq))
    failed, ended = client.take_events()
    assert isinstance(failed, Failed)
    assert failed.seq == waiting
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert ended.error.code == ErrorCode.SESSION_ERROR
    assert not ended.kicked


def test_a_session_that_was_replaced_while_it_was_away_is_kicked() -> None:
    client = resumable()
    client.disconnected()
    client.take_events()
    client.resume(now=1.0)
    reply(client, messages.Kicked(code=1002050, message="logged in elsewhere", origin="203.0.113.9"))
    [ended] = client.take_events()
    assert isinstance(ended, Ended)
    assert ended.kicked
    assert ended.origin == "203.0.113.9"


def test_a_resumption_over_the_rate_is_tried_again_when_the_server_says() -> None:
    client = resumable()
    client.disconnected()
    client.take_events()
    client.resume(now=1.0)
    [asked] = sent(client)
    reply(client, messages.Error(code=1002071, message="slow", seq=asked.seq, retry_after_ms=700))
    [event] = client.take_events()
    assert isinstance(event, Interrupted)
    assert getattr(event.error, "retry_after", None) == 0.7


def test_an_error_of_the_connection_interrupts() -> None:
    client = resumable()
    reply(client, messages.Error(code=1002052, message="the server is shutting down"))
    [event] = client.take_events()
    assert isinstance(event, Interrupted)


def test_a_logout_while_the_connection_is_away_is_not_confirmed() -> None:
    client = resumable()
    client.disconnected()
    client.take_events()
    client.logout(now=1.0)
    [*_, ended] = client.take_events()
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert ended.error.code == ErrorCode.CONNECTION_LOST


def test_switching_the_room_begins_a_session_with_a_count_of_its_own() -> None:
    client = resumable()
    reply(client, NOTICE)
    seq = client.request(lambda number: messages.SwitchRoom(number, "other"), now=0.0)
    reply(
        client,
        messages.LoginOk(
            seq, session_id="s2", server_ms=0, heartbeat_ms=0, max_plays=12, secret="new", resume_ms=90_000
        ),
    )
    assert client.key == messages.SessionKey("s2", "new")
    client.disconnected()
    asked = resume(client, taken=seq)
    assert (asked.session_id, asked.secret, asked.received) == ("s2", "new", 0)


def test_only_an_interrupted_session_can_be_resumed() -> None:
    with pytest.raises(SanderlingError) as caught:
        resumable().resume(now=0.0)
    assert caught.value.code == ErrorCode.SESSION_ERROR


def test_a_probe_finds_a_dead_connection_within_two_seconds() -> None:
    client = resumable()
    client.probe(now=0.5)
    client.probe(now=0.6)
    assert [type(message) for message in sent(client)] == [messages.Heartbeat]
    reply(client, NOTICE, now=1.0)
    client.take_events()
    client.handle_timeout(now=2.6)
    assert client.state is ClientState.LOGGED_IN
    client.probe(now=2.7)
    client.take_outgoing()
    client.handle_timeout(now=3.9)
    assert client.state is ClientState.LOGGED_IN
    reply(client, NOTICE, now=3.9)
    client.take_events()
    client.probe(now=3.9)
    assert client.wake_at() == 4.9
    client.handle_timeout(now=4.9)
    client.handle_timeout(now=5.9)
    [event] = client.take_events()
    assert isinstance(event, Interrupted)

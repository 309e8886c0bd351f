"""Whatever happens in whatever order: one outcome a request, one end, nothing after it, nothing raised."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import SanderlingError
from sanderling.signaling import codec, messages
from sanderling.signaling.client import ClientState, Ended, Failed, Replied, SignalingClient

USER = messages.User(user_id="alice", user_name="Alice")

STEPS = st.one_of(
    st.sampled_from(
        ["login", "publish", "play", "stop_play", "viewer_offer", "logout", "disconnected", "resume", "time"]
    ),
    st.tuples(
        st.sampled_from(["ok", "login_ok", "play_ok", "error", "heartbeat_ok", "resume_ok", "secret_ok"]),
        st.integers(0, 12),
    ),
    st.sampled_from(
        [messages.Kicked(code=1002050, message="x"), messages.UserNotice(update=0, users=(USER,))]
    ),
    st.binary(max_size=40),
)


def reply(kind: str, seq: int) -> messages.ServerMessage:
    match kind:
        case "ok":
            return messages.Ok(seq)
        case "login_ok":
            return messages.LoginOk(seq, session_id="s", server_ms=0, heartbeat_ms=700, max_plays=12)
        case "secret_ok":
            return messages.LoginOk(
                seq, session_id="s", server_ms=0, heartbeat_ms=700, max_plays=12, secret="x", resume_ms=9000
            )
        case "resume_ok":
            return messages.ResumeOk(seq, taken=seq, server_ms=0, heartbeat_ms=700)
        case "play_ok":
            return messages.PlayOk(seq, stream_id="s", slot=0, resource_mode=3)
        case "heartbeat_ok":
            return messages.HeartbeatOk(seq, 0, 0)
        case _:
            return messages.Error(code=1004001, message="no", seq=seq)


@given(st.lists(STEPS, max_size=40))
def test_one_outcome_a_request_and_one_end(steps: list[object]) -> None:
    client = SignalingClient(request_timeout=3.0)
    asked: set[int] = set()
    outcomes: list[int] = []
    ends = 0
    now = 0.0
    for step in [*steps, "finish"]:
        now += 0.3
        try:
            match step:
                case "login":
                    asked.add(client.login(app_id=1, room_id="r", user=USER, now=now))
                case "publish":
                    asked.add(client.publish("s", "offer", now=now))
                case "play":
                    asked.add(client.play("s", now=now))
                case "stop_play":
                    asked.add(client.stop_play("s", now=now))
                case "viewer_offer":
                    asked.add(client.viewer_offer("offer", now=now))
                case "logout":
                    asked.add(client.logout(now=now))
                case "disconnected":
                    client.disconnected()
                case "resume":
                    client.resume(now=now)
                case "finish":
                    if client.state is ClientState.INTERRUPTED:
                        asked.add(client.logout(now=now))
                    client.disconnected()
                    if client.state is ClientState.INTERRUPTED:
                        asked.add(client.logout(now=now))
                case "time":
                    due = client.wake_at()
                    now = max(now, due) if due is not None else now
                    client.handle_timeout(now=now)
                case bytes():
                    client.receive(step, now=now)
                case (str() as kind, int() as seq):
                    client.receive(codec.encode(reply(kind, seq)), now=now)
                case messages.Kicked() | messages.UserNotice():
                    client.receive(codec.encode(step), now=now)
        except SanderlingError:
            assert step in ("login", "resume"), "only a second login or a resumption of nothing raises"
        for data in client.take_outgoing():
            codec.decode_client(data)
        for event in client.take_events():
            # A command given after the end still fails, which is its one outcome.
            assert ends == 0 or isinstance(event, Failed)
            if isinstance(event, Replied | Failed):
                outcomes.append(event.seq)
            ends += isinstance(event, Ended)
    assert ends == 1
    assert client.state is ClientState.ENDED
    assert client.wake_at() is None
    assert sorted(outcomes) == sorted(asked)

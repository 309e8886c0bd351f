from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.errors import SanderlingError
from sanderling.server.config import ServerConfig, default_state_folder, load_config, parse_port_range


def refused(**sources):
    with pytest.raises(SanderlingError) as caught:
        load_config(**{"environment": {}, **sources})
    assert int(caught.value.code) == 1000017
    return caught.value


def test_flags_beat_variables_beat_the_file_beat_defaults(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text('port = 1\nhost = "file"\nworkers = 2\nlog_format = "json"\n')
    environment = {"SANDERLING_PORT": "2", "SANDERLING_HOST": "variable"}
    config = load_config(file=file, environment=environment, flags={"port": 3, "host": None})
    assert (config.port, config.host, config.workers, config.log_format) == (3, "variable", 2, "json")
    assert config.heartbeat_timeout_s == 30


def test_lists_in_variables_are_separated_by_commas():
    config = load_config(environment={"SANDERLING_MEDIA_LISTEN": "127.0.0.1, ::1"})
    assert config.media_listen == ("127.0.0.1", "::1")


def test_unknown_keys_are_refused_with_the_nearest_known_one(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text("prot = 1\n")
    assert "'port'" in refused(file=file).hint
    assert "SANDERLING_WORKERS" in refused(environment={"SANDERLING_WORKER": "1"}).hint
    assert "'workers'" in refused(flags={"worker": 1}).hint


def test_variables_of_other_parts_are_left_alone():
    load_config(environment={"SANDERLING_STRICT": "1", "OTHER": "x"})


@pytest.mark.parametrize(
    "flags",
    [
        {"port": 70_000},
        {"port": "many"},
        {"workers": 0},
        {"log_format": "xml"},
        {"heartbeat_timeout_s": 0},
        {"media_ports": "5-3"},
        {"media_ports": "x"},
        {"media_ports": "1-99999"},
    ],
)
def test_impossible_values_are_refused_by_name(flags):
    assert next(iter(flags)) in refused(flags=flags).message


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path):
    assert "nowhere.toml" in refused(file=tmp_path / "nowhere.toml").message
    bad = tmp_path / "bad.toml"
    bad.write_text("port =")
    assert "TOML" in refused(file=bad).message


@pytest.mark.parametrize(("text", "ports"), [("0", (0, 0)), ("5", (5, 5)), ("42000-42999", (42000, 42999))])
def test_port_ranges(text, ports):
    assert parse_port_range(text) == ports


def test_the_state_folder_follows_xdg():
    assert default_state_folder({"XDG_STATE_HOME": "/x"}) == Path("/x/sanderling")
    fallback = Path.home() / ".local/state/sanderling"
    assert default_state_folder({}) == default_state_folder({"XDG_STATE_HOME": "relative"}) == fallback
    assert ServerConfig(state="/y").state_folder == Path("/y")


def test_the_admin_secret_is_not_shown():
    assert "open sesame" not in repr(ServerConfig(admin_secret="open sesame"))


@pytest.mark.parametrize(
    ("processors", "flags", "workers"),
    [
        (1, {}, 1),
        (2, {}, 1),
        (8, {}, 7),
        (8, {"workers": 3}, 3),
        (64, {}, 16),
        (64, {"media_ports": "5000"}, 1),
        (64, {"media_ports": "0"}, 63),
        (1024, {"media_ports": "0"}, 256),
    ],
)
def test_by_default_one_processor_is_left_to_everything_but_media(monkeypatch, processors, flags, workers):
    monkeypatch.setattr("sanderling.server.config.usable_processors", lambda: processors)
    assert load_config(environment={}, flags=flags).media_workers == workers

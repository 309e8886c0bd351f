"""What --save writes can be read back, and gives the printed figures again."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from sanderling.demo import recompute, save
from sanderling.demo.measure import FrameRow, figures
from sanderling.demo.result import Result, make_result

MS = 1_000_000
T0 = 1_760_000_000_000_000_000
UNTIL_NS = T0 + 6_000 * MS


def _rows() -> list[FrameRow]:
    delays = np.random.default_rng(11).integers(40 * MS, 120 * MS, 125)
    rows = [FrameRow(n, T0 + n * 40 * MS, T0 + n * 40 * MS + int(delay)) for n, delay in enumerate(delays)]
    rows[17] = FrameRow(17, rows[17].sent_ns, None)
    rows[30] = FrameRow(None, None, rows[30].received_ns)
    return rows


def _save(folder: Path) -> Result:
    rows = _rows()
    save.write_rows(folder / save.FRAMES, rows)
    sound = save.SoundSaver(folder / save.SOUND, rate=48_000, channels=2)
    for _ in range(490):
        if sound.put(np.zeros((480, 2), np.int16)):
            sound.flush()
    sound.close()
    save.PictureSaver(folder / save.PICTURES).save(7, lambda: np.zeros((360, 640, 3), np.uint8))
    result = make_result(
        figures(rows, UNTIL_NS),
        resource_mode="ONLY_L3",
        room_states=["LOGINING", "LOGINED"],
        player_states=["PLAY_REQUESTING", "PLAYING"],
        publisher_states=["PUBLISH_REQUESTING", "PUBLISHING"],
        login_ms=80.04,
        first_frame_ms=120.06,
        audio_received_ms=4_900.0,
        audio_concealed_ratio=0.012345,
        width=640,
        height=360,
        codec="VP8",
    )
    save.write_session(folder, save.SavedSession(UNTIL_NS, result))
    return result


def test_every_figure_is_computed_again_from_the_files(tmp_path: Path) -> None:
    result = _save(tmp_path)
    assert recompute.recompute(tmp_path) == result
    assert recompute.main([str(tmp_path)]) == 0


@pytest.mark.parametrize("column", [1, 2])
def test_a_changed_file_gives_other_figures(
    tmp_path: Path, column: int, capsys: pytest.CaptureFixture[str]
) -> None:
    _save(tmp_path)
    path = tmp_path / save.FRAMES
    lines = path.read_text().splitlines()
    for number in range(60, 90):
        fields = lines[number].split(",")
        fields[column] = str(int(fields[column]) + 700 * MS)
        lines[number] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n")
    assert recompute.main([str(tmp_path)]) == 1
    assert "differ" in capsys.readouterr().err


def test_rows_survive_the_file(tmp_path: Path) -> None:
    save.write_rows(tmp_path / "frames.csv", _rows())
    assert (
        (tmp_path / "frames.csv").read_text().startswith("frame,sent_ns,received_ns\n0,1760000000000000000,")
    )
    assert save.read_rows(tmp_path / "frames.csv") == _rows()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        ("a,b\n", "first line"),
        ("frame,sent_ns,received_ns\n1,2\n", "line 2"),
        ("frame,sent_ns,received_ns\n1,2,3\n1,x,3\n", "line 3"),
    ],
)
def test_a_file_that_is_no_frames_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "frames.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        save.read_rows(path)


def test_an_empty_folder_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recompute.main([str(tmp_path)]) == 1
    assert "--save" in capsys.readouterr().err
    assert recompute.main([]) == 2


def test_two_pictures_a_second_are_chosen(tmp_path: Path) -> None:
    pictures = save.PictureSaver(tmp_path)
    chosen = [n for n in range(250) if pictures.due(n * 40 * MS)]
    assert len(chosen) == 20
    assert {later - earlier for earlier, later in itertools.pairwise(chosen)} == {12, 13}


def test_after_a_freeze_no_burst_of_pictures(tmp_path: Path) -> None:
    pictures = save.PictureSaver(tmp_path)
    assert pictures.due(0)
    after = [n for n in range(25) if pictures.due((10_000 + n * 40) * MS)]
    assert len(after) <= 3


def test_a_png_holds_the_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    path = save.PictureSaver(tmp_path / "pictures").save(42, lambda: picture)
    assert path.name == "frame-000042.png"
    with av.open(str(path)) as container:
        assert (next(container.decode(video=0)).to_ndarray(format="rgb24") == picture).all()


def test_sound_is_48_khz_16_bit_and_refuses_other_blocks(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    sound = save.SoundSaver(path, rate=48_000, channels=1)
    assert not sound.put(np.arange(480, dtype=np.int16)[:, None])
    with pytest.raises(ValueError, match="int16"):
        sound.put(np.zeros((480, 2), np.int16))
    with pytest.raises(ValueError, match="int16"):
        sound.put(np.zeros((480, 1), np.float32))  # type: ignore[arg-type]
    assert sound.put(np.zeros((48_000, 1), np.int16)), "a second is to be flushed"
    sound.close()
    assert save.sound_duration_ms(path) == 1010.0
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (48_000, 2, 1)
        assert file.readframes(480) == np.arange(480, dtype="<i2").tobytes()


def test_a_run_without_sound_gives_an_empty_file(tmp_path: Path) -> None:
    sound = save.SoundSaver(tmp_path / "sound.wav", rate=48_000, channels=2)
    sound.close()
    assert save.sound_duration_ms(tmp_path / "sound.wav") == 0.0

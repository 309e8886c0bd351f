"""ffmpeg's WHIP muxer as a process of its own: PyAV holds the interpreter while the muxer waits for the network.

    whip_encoder.py URL TOKEN FLAGS FOLDER

FOLDER holds cert.pem and key.pem: ffmpeg built with GnuTLS makes itself a key on a curve that few servers know.
Sends moving H.264 pictures and silence until its standard input ends, then ends the session.
"""

from __future__ import annotations

import sys
import threading
import time

import av
import numpy as np

WIDTH, HEIGHT, FPS = 320, 180, 25
RATE = 48_000
BLOCK = 960


def main(url: str, token: str, flags: str, folder: str) -> None:
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    options = {"authorization": token, "cert_file": f"{folder}/cert.pem", "key_file": f"{folder}/key.pem"}
    if flags:
        options["whip_flags"] = flags
    with av.open(url, "w", format="whip", options=options) as output:
        video = output.add_stream(
            "libx264",
            rate=FPS,
            options={
                "preset": "ultrafast",
                "tune": "zerolatency",
                "profile": "baseline",
                "g": str(FPS),
                "bf": "0",
            },
        )
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = output.add_stream("libopus", rate=RATE, layout="stereo")
        started = time.monotonic()
        number = samples = 0
        while not stop.wait(max(0.0, started + number / FPS - time.monotonic())):
            picture = av.VideoFrame.from_ndarray(
                np.full((HEIGHT, WIDTH, 3), number * 7 % 256, np.uint8), format="rgb24"
            )
            picture.pts = number
            output.mux(video.encode(picture))
            while samples < (number + 1) * RATE // FPS:
                block = av.AudioFrame.from_ndarray(
                    np.zeros((1, BLOCK * 2), np.int16), format="s16", layout="stereo"
                )
                block.sample_rate, block.pts = RATE, samples
                output.mux(audio.encode(block))
                samples += BLOCK
            number += 1


if __name__ == "__main__":
    main(*sys.argv[1:])

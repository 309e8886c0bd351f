"""ffmpeg's own WHIP muxer publishes, a player listens: another implementation's offer, ICE and DTLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from pathlib import Path
from urllib.parse import urljoin

import av
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from interop.aiortc_peer import aiortc_peer
from scenario.signalling import LIMIT_S, Stage, stage
from scenario.whip_client import SDP, Endpoint, peer, post, session

pytestmark = pytest.mark.processes

ENCODER = Path(__file__).with_name("whip_encoder.py")


def write_certificate(folder: Path) -> None:
    """A P-256 key and its own certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "encoder")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


async def packets(on: Stage) -> int:
    """RTP packets that came from the encoder."""
    workers = (await on.server.snapshot())["workers"]
    return sum(publisher["packets"] for worker in workers for publisher in worker["publishers"])


@pytest.mark.skipif("whip" not in av.formats_available, reason="this PyAV has no WHIP muxer")
async def test_ffmpeg_publishes_and_is_seen_and_heard(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    async with stage() as on, httpx.AsyncClient(timeout=LIMIT_S) as http:
        bob = await on.logged_in("bob")
        path = f"{on.project.app_id}/room/cam"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ENCODER), f"{on.server.url}/whip/{path}"),
            *(on.server.token(on.project, "ffmpeg"), "dtls_active", str(tmp_path)),
            stdin=asyncio.subprocess.PIPE,
        )
        try:
            (stream,) = (await bob.notice("stream_notice", update=0))["streams"]
            assert [track["codec"] for track in stream["tracks"]] == ["opus", "H264"]
            whep = Endpoint(f"{on.server.url}/whep/{path}", on.server.token(on.project, "viewer"))
            # The peer of these tests has no decoder for H.264: it is told so, by name, instead of a black picture. Who
            # takes SDP for an answer gets an offer of what there is.
            async with peer("recvonly") as viewer:
                offer = await viewer.offer()
                refused = await post(http, whep, offer, accept="application/problem+json")
                assert (refused.status_code, refused.json()["code"]) == (406, 1004080)
                assert "H264" in refused.json()["detail"]
                countered = await post(http, whep, offer)
                assert (countered.status_code, countered.headers["content-type"].split(";")[0]) == (406, SDP)
                assert " H264/90000" in countered.text and " VP8/90000" not in countered.text
                gone = await http.delete(
                    urljoin(whep.url, countered.headers["location"]), headers=whep.headers()
                )
                assert gone.status_code == 200
            # An independent decoder shows its pictures.
            async with aiortc_peer("recvonly") as watcher, session(http, whep, watcher):
                await watcher.received(pictures=20, blocks=20)
                left, right = watcher.greys()
                assert abs(left - right) < 4, "the encoder's pictures are of one grey each"
                shown = {
                    round(float(picture.to_ndarray(format="gray")[90, 160])) for picture in watcher.pictures
                }
                assert len(shown) >= 10, "the greys change from picture to picture"
            # Its sound plays; its pictures arrive with it.
            async with peer("recvonly", video=False) as listener, session(http, whep, listener):
                async with asyncio.timeout(LIMIT_S):
                    while await listener.heard() < 48_000 or await packets(on) < 100:
                        await asyncio.sleep(0.02)  # other threads work on it
            assert process.stdin is not None
            process.stdin.close()
            async with asyncio.timeout(LIMIT_S):
                assert await process.wait() == 0
            # ffmpeg deletes its session at the end: a stop, not a loss.
            gone = await bob.notice("stream_notice", update=1)
            assert [s["delete_reason"] for s in gone["streams"]] == [1]
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await bob.ok("logout")
        await on.empty()

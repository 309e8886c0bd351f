"""Bodies of PATCH: SDP fragments for trickle ICE and ICE restarts (RFC 8840 section 4.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sanderling.server.http.sdp import Description, IceCredentials, SdpError, lines_of, read_credentials

__all__ = ["MAX_CANDIDATES", "Fragment", "read_candidate", "read_fragment", "write_fragment"]

MAX_CANDIDATES = 256
"""Candidates in one fragment. A machine with many interfaces gathers some dozens."""

# RFC 8839 section 5.1; the address may be a name (RFC 8839 allows it, mDNS uses it).
_CANDIDATE = re.compile(
    r"(?P<foundation>[A-Za-z0-9+/]{1,32}) (?P<component>\d{1,3}) (?P<transport>[A-Za-z0-9-]+) "
    r"(?P<priority>\d{1,10}) (?P<address>[A-Za-z0-9.:%_-]{1,255}) (?P<port>\d{1,5}) typ (?P<type>[A-Za-z0-9-]+)"
    r"(?P<rest>( \S+ \S*)*)\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a client sent: its ICE credentials, if they are named, and further candidates."""

    credentials: IceCredentials | None
    candidates: tuple[str, ...]
    """Values of the candidate lines, each of the right form."""
    end_of_candidates: bool


def read_candidate(value: str) -> str:
    """Check one candidate; SdpError says what is wrong. The server is ICE-lite: it waits for the client's checks."""
    found = _CANDIDATE.fullmatch(value)
    if found is None:
        raise SdpError("a=candidate is not of the form of RFC 8839 section 5.1")
    if not 1 <= int(found["component"]) <= 256:
        raise SdpError("a=candidate: the component is a number from 1 to 256")
    if not 1 <= int(found["priority"]) < 2**31:
        raise SdpError("a=candidate: the priority is a number from 1 to 2^31 - 1")
    if int(found["port"]) > 65535:
        raise SdpError("a=candidate: the port is a number up to 65535")
    return value


def read_fragment(text: str) -> Fragment:
    """Read a fragment; SdpError when it is malformed or says nothing."""
    fragments: set[str] = set()
    passwords: set[str] = set()
    candidates: list[str] = []
    end = False
    for number, line in enumerate(lines_of(text), 1):
        if not line:
            continue
        if len(line) < 3 or line[1] != "=" or not line[0].isalpha():
            raise SdpError(f"line {number}: not of the form letter=value")
        name, _, value = line[2:].partition(":")
        if line[0] == "m" and len(line[2:].split()) < 4:
            raise SdpError(f"line {number}: m= needs a media type, a port, a protocol and a format")
        if line[0] != "a":
            continue
        match name:
            case "ice-ufrag":
                fragments.add(value.strip())
            case "ice-pwd":
                passwords.add(value.strip())
            case "candidate":
                if len(candidates) == MAX_CANDIDATES:
                    raise SdpError(f"more than {MAX_CANDIDATES} candidates")
                candidates.append(read_candidate(value))
            case "end-of-candidates":
                end = True
    credentials = _credentials(fragments, passwords)
    if credentials is None and not candidates and not end:
        raise SdpError("the fragment has neither credentials nor candidates")
    return Fragment(credentials, tuple(candidates), end)


def _credentials(fragments: set[str], passwords: set[str]) -> IceCredentials | None:
    if not fragments and not passwords:
        return None
    if len(fragments) != 1 or len(passwords) != 1:
        raise SdpError("a=ice-ufrag and a=ice-pwd go together, and are the same in every section")
    return read_credentials(fragments.pop(), passwords.pop())


def write_fragment(answer: Description) -> str:
    """The server's ICE part after a restart: credentials and every candidate, under the bundle's first section."""
    assert answer.credentials is not None
    lines = ["a=ice-lite"] if answer.ice_lite else []
    if answer.ice_options:
        lines.append(f"a=ice-options:{answer.ice_options}")
    if answer.bundle:
        lines.append(f"a=group:{answer.bundle}")
    section = next((s for s in answer.sections if not s.disabled), answer.sections[0])
    lines += [f"m={section.line}", f"a=mid:{section.mid}"]
    lines += [f"a=ice-ufrag:{answer.credentials.fragment}", f"a=ice-pwd:{answer.credentials.password}"]
    lines += [f"a=candidate:{value}" for s in answer.sections for value in s.candidates]
    lines.append("a=end-of-candidates")
    return "\r\n".join(lines) + "\r\n"

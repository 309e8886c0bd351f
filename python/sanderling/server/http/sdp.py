"""What WHIP and WHEP have to know of an SDP: its media sections and its ICE part. The media engine reads the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = [
    "Description",
    "IceCredentials",
    "MediaSection",
    "SdpError",
    "credentials_of",
    "lines_of",
    "read_credentials",
    "read_description",
    "replace_credentials",
]

MAX_LINES = 5000
"""Lines of a description. A browser's offer with 32 media sections has about 2500."""
MAX_SECTIONS = 64

_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
_ICE_VALUE = re.compile(r"[A-Za-z0-9+/=_-]+", re.ASCII)
_FRAGMENT = re.compile(r"^a=ice-ufrag:(.*)$", re.MULTILINE)
_PASSWORD = re.compile(r"^a=ice-pwd:(.*)$", re.MULTILINE)


class SdpError(ValueError):
    """What was sent is no SDP; the text is one sentence with the line."""


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """One side's ICE user name fragment and password."""

    fragment: str
    password: str = field(repr=False)


@dataclass(slots=True)
class MediaSection:
    """One ``m=`` section."""

    kind: str
    """"audio", "video", "application", …"""
    line: str
    """Value of the m= line."""
    disabled: bool
    """Port 0, and not a section that merely exists in the bundle only."""
    mid: str = ""
    direction: str = "sendrecv"
    candidates: list[str] = field(default_factory=list)
    """Values of its a=candidate lines."""


@dataclass(slots=True)
class Description:
    """An offer or answer."""

    sections: list[MediaSection] = field(default_factory=list)
    credentials: IceCredentials | None = None
    """The first ones; all sections of a bundle share them."""
    bundle: str = ""
    """Value of the group line, e.g. "BUNDLE 0 1"."""
    ice_lite: bool = False
    ice_options: str = ""
    setups: set[str] = field(default_factory=set)

    def media(self, kind: str) -> list[MediaSection]:
        """Sections of one kind that are not switched off."""
        return [section for section in self.sections if section.kind == kind and not section.disabled]


def lines_of(text: str) -> list[str]:
    """Lines without their ends; RFC 8866 section 5: CRLF, and a lone LF is taken too."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def read_credentials(fragment: str, password: str) -> IceCredentials:
    """Check the pair (RFC 8839 section 5.4): 4 to 256 and 22 to 256 characters."""
    for name, value, least in (("ice-ufrag", fragment, 4), ("ice-pwd", password, 22)):
        if not least <= len(value) <= 256 or not _ICE_VALUE.fullmatch(value):
            raise SdpError(f"a={name} must have {least} to 256 letters, digits, + or /")
    return IceCredentials(fragment, password)


def credentials_of(text: str) -> IceCredentials | None:
    """The first ICE credentials of an SDP that was read before, None without: what ``Description.credentials`` has."""
    fragment, password = _FRAGMENT.search(text), _PASSWORD.search(text)
    if fragment is None or password is None:
        return None
    return IceCredentials(fragment[1].strip(), password[1].strip())


def read_description(text: str) -> Description:
    """Read an SDP as far as it matters here; SdpError when it is none."""
    lines = lines_of(text)
    if len(lines) > MAX_LINES:
        raise SdpError(f"the SDP has {len(lines)} lines, {MAX_LINES} allowed")
    if not lines or lines[0].strip() != "v=0":
        raise SdpError("line 1: an SDP begins with v=0")
    description = Description()
    ice: dict[str, str] = {}
    direction = "sendrecv"
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if len(line) < 2 or line[1] != "=":
            raise SdpError(f"line {number}: not of the form letter=value")
        if line[0] == "m":
            description.sections.append(_section(number, line[2:], direction))
        elif line[0] == "a":
            name, _, value = line[2:].partition(":")
            section = description.sections[-1] if description.sections else None
            if section is None and name in _DIRECTIONS:
                direction = name
            _attribute(description, section, name, value.strip(), ice)
    if not description.sections:
        raise SdpError("the SDP has no media section")
    if ice:
        description.credentials = read_credentials(ice.get("ice-ufrag", ""), ice.get("ice-pwd", ""))
    return description


def _section(number: int, value: str, direction: str) -> MediaSection:
    words = value.split()
    if len(words) < 4 or not words[1].partition("/")[0].isdecimal():
        raise SdpError(f"line {number}: m= needs a media type, a port, a protocol and a format")
    return MediaSection(words[0], value.strip(), disabled=words[1] == "0", direction=direction)


def _attribute(
    description: Description, section: MediaSection | None, name: str, value: str, ice: dict[str, str]
) -> None:
    match name:
        case "ice-ufrag" | "ice-pwd":
            ice.setdefault(name, value)
        case "ice-lite":
            description.ice_lite = True
        case "ice-options":
            description.ice_options = description.ice_options or value
        case "setup":
            description.setups.add(value)
        case "group":
            if value.startswith("BUNDLE") and not description.bundle:
                description.bundle = value
    if section is None:
        return
    match name:
        case "mid":
            section.mid = value
        case "bundle-only":
            # RFC 9143 section 6: its port is 0 all the same.
            section.disabled = False
        case "candidate":
            section.candidates.append(value)
        case "sendrecv" | "sendonly" | "recvonly" | "inactive":
            section.direction = name
    if len(description.sections) > MAX_SECTIONS:
        raise SdpError(f"more than {MAX_SECTIONS} media sections")


def replace_credentials(offer: str, credentials: IceCredentials) -> str:
    """The same offer with other ICE credentials and without candidates: what an ICE restart amounts to."""
    lines = []
    for line in lines_of(offer):
        if line.startswith("a=ice-ufrag:"):
            line = f"a=ice-ufrag:{credentials.fragment}"
        elif line.startswith("a=ice-pwd:"):
            line = f"a=ice-pwd:{credentials.password}"
        elif line.startswith(("a=candidate:", "a=end-of-candidates")):
            continue
        lines.append(line)
    return "\r\n".join(lines)

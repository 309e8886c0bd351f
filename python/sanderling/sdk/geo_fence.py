"""Where servers may stand that an engine uses."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.enums import GeoFenceAreaCode, GeoFenceType
from sanderling.errors import ErrorCode, SanderlingError

__all__ = ["GeoFence"]


@dataclass(frozen=True, slots=True)
class GeoFence:
    """INCLUDE: servers in ``areas`` only. EXCLUDE: none that stand there. NONE: any.

    A server says where it stands (its setting ``region``) before anything is told about the user. One that does not
    say is outside of any fence but NONE.
    """

    type: GeoFenceType = GeoFenceType.NONE
    areas: tuple[GeoFenceAreaCode, ...] = ()

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "type", GeoFenceType(self.type))
            object.__setattr__(self, "areas", tuple(GeoFenceAreaCode(area) for area in self.areas))
        except (ValueError, TypeError) as error:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, f"geo-fence: {error}") from None
        if self.type is not GeoFenceType.NONE and not self.areas:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, "a geo-fence needs an area")

    def admits(self, region: str) -> bool:
        """Whether a server may be used that says it stands in ``region`` ("" = it does not say)."""
        if self.type is GeoFenceType.NONE:
            return True
        if region not in GeoFenceAreaCode.__members__:
            return False
        return (GeoFenceAreaCode[region] in self.areas) is (self.type is GeoFenceType.INCLUDE)

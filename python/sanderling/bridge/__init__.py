"""The only package that imports the media extension: commands down, batched events up."""

from __future__ import annotations

from sanderling.bridge.engine import Answer, Binding, MediaEngine, MediaFailed, SessionHandle
from sanderling.bridge.events import MediaEvent, TrackInfo

__all__ = ["Answer", "Binding", "MediaEngine", "MediaEvent", "MediaFailed", "SessionHandle", "TrackInfo"]

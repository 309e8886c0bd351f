"""The HTTP surface: health, metrics, debug snapshot and the web page."""

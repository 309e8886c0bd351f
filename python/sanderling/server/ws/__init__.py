"""Signalling over WebSocket: the input and output around the rooms."""

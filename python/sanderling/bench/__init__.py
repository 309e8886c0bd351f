"""Measurements of a whole node: what ``sanderling bench`` runs. Methods and figures: docs/reference/bench.md.

The server under measurement is always a process of its own, so that its CPU time and memory are nobody else's.
"""

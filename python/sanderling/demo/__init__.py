"""``sanderling demo``: a server, a publisher and a viewer in processes of their own, measured in the picture.

run.py       parent: starts the processes, collects what they report, prints it, stops them in order
host.py      user B: publishes the film clip with its sound, a clock burned into every frame
viewer.py    user A: plays the stream in ONLY_L3, reads the clock off every decoded frame
clock.py     the burned-in clock (docs/reference/burned-in-clock.md)
measure.py   figures from (frame, sent, received) rows; recompute.py does it from saved files
"""

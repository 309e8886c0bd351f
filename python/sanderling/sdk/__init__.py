"""The asyncio SDK: engine, room, publishers, players, sources. Import its names from :mod:`sanderling`."""

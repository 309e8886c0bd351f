"""The server: signalling, rooms, projects and the HTTP surface around the media engine."""

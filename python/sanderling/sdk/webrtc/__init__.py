"""The one adapter to the WebRTC engine (PyPI ``wrtc``, import name ``webrtc``). Nothing else imports it."""

"""Finds prolonged static posture from a body-worn accelerometer and asks for movement over MQTT."""

__version__ = "0.1.0"

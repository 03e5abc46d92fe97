"""What can go wrong outside the code, by type; whether to retry is an attribute, never a string comparison."""

from __future__ import annotations


class PosturewatchError(Exception):
    """One line for a person: what happened, to what, what to do."""

    exit_code = 3
    retry = False


class ConfigError(PosturewatchError):
    """Where in the configuration, what value, what is allowed."""

    exit_code = 2


class UsageError(PosturewatchError):
    """A command line that cannot be meant."""

    exit_code = 2


class MissingExtra(PosturewatchError):
    """An optional part is not installed; the message names the extra."""

    exit_code = 2


class SourceError(PosturewatchError):
    """Something that should give samples does not."""


class SensorRefused(SourceError):
    """A sensor that is there and will not: the wrong firmware, in its charger, held by a phone, wants to be paired."""


class CharacteristicMissing(SensorRefused):
    """A sensor without what its driver needs: another device, or a system that remembers its former firmware."""


class StreamEnded(SourceError):
    """A sensor that ended its stream by itself, as some do when they are taken off."""

    retry = True


class RadioUnavailable(SourceError):
    """No Bluetooth to use, for now: no adapter, powered off, not permitted, BlueZ missing."""

    retry = True


class RecordingError(SourceError):
    """A recording that cannot be read: file, place, fix."""

    exit_code = 2


class DecodeError(PosturewatchError):
    """Bytes that are not what the sensor's protocol says."""


class CommandError(PosturewatchError):
    """A request that cannot be carried out; answered, never fatal."""


class SinkError(PosturewatchError):
    """Something that should take messages does not."""


class BrokerUnavailable(SinkError):
    """No broker there, for now."""

    retry = True


class BrokerRefused(SinkError):
    """The broker says no: credentials, permissions, another client with our name."""


class SnapshotError(PosturewatchError):
    """A snapshot that cannot be used: it is kept aside and the state starts fresh."""

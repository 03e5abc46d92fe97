"""What the Bluetooth stack says, as one line each: what happened, to what, what to do.  The only place that asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)

from posturewatch.errors import CharacteristicMissing, RadioUnavailable, SensorRefused, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Reason = BleakBluetoothNotAvailableReason
Code = BleakGATTProtocolErrorCode

# What the library lets through: its own, timeouts, a broken D-Bus; and what it stumbles over when an adapter or a
# device vanishes in the middle of a request.
FOREIGN = (BleakError, OSError, EOFError, KeyError, AssertionError, asyncio.InvalidStateError)


class SensorLost(SourceError):
    """A sensor that was there, or should be: it went out of range, ran down, or another device holds it."""

    retry = True


class SensorNotFound(SensorLost):
    """Nobody that fits advertises."""


class OutOfSlots(SensorLost):
    """The adapter holds no more connections."""


_RADIO: Mapping[Reason, str] = {
    Reason.NO_BLUETOOTH: "no Bluetooth adapter is there: plug one in, or load its driver",
    Reason.NO_BLE_CENTRAL_ROLE: "the Bluetooth adapter cannot be used for Low Energy sensors: use another one",
    Reason.POWERED_OFF: "the Bluetooth adapter is powered off: turn it on with `bluetoothctl power on`, or in the "
    "settings of the desktop (`rfkill unblock bluetooth` if it is blocked)",
    Reason.DENIED_BY_USER: "Bluetooth is not permitted to this program: allow it in the system's settings",
    Reason.DENIED_BY_SYSTEM: "the system does not permit Bluetooth to this user: run the daemon as a user who may "
    "use BlueZ (group bluetooth on some systems; a container needs the host's D-Bus)",
    Reason.DENIED_BY_UNKNOWN: "Bluetooth is not permitted to this program: check the system's settings",
}
_PAIRING = {Code.INSUFFICIENT_AUTHENTICATION, Code.INSUFFICIENT_AUTHORIZATION, Code.INSUFFICIENT_ENCRYPTION}
_UNPAIRED = ("not paired", "not encrypted")
_PAIR_FAILED = ("AuthenticationFailed", "AuthenticationRejected", "AuthenticationCanceled", "AuthenticationTimeout")
_SLOTS = ("le-connection-limit", "connection limit", "no resources", "not enough resources", "limited resources")
_ABORTED = ("le-connection-abort-by-local", "software caused connection abort", "connection-attempt-failed")

NO_BLUEZ = "BlueZ does not answer: install it and start it with `systemctl start bluetooth`"
_RADIO_BY_DBUS: Mapping[str, str] = {
    **dict.fromkeys(("ServiceUnknown", "NameHasNoOwner", "Disconnected", "NoServer", "NoReply"), NO_BLUEZ),
    **dict.fromkeys(("AccessDenied", "AuthFailed", "NotPermitted", "NotAuthorized"), _RADIO[Reason.DENIED_BY_SYSTEM]),
    "NotReady": _RADIO[Reason.POWERED_OFF],
}
BUSY = "the Bluetooth adapter is busy with another program's request; trying again"


def translate(error: BaseException, sensor: str | None = None) -> SourceError:
    """The error of ours that `error` is; `sensor` is whom it happened to, if to anybody."""
    if isinstance(error, SourceError):
        return error
    who = "" if sensor is None else f"sensor {sensor}: "
    for kind, translate_kind in _KINDS:
        if isinstance(error, kind):
            return translate_kind(error, who)
    return _translate_text(str(error) if isinstance(error, BleakError) else "", who)


def hint_at_cache(error: SensorRefused) -> SensorRefused:
    """For a paired sensor, which nobody but its owner should let BlueZ forget."""
    if not isinstance(error, CharacteristicMissing):
        return error
    return CharacteristicMissing(
        f"{error}; if its firmware was changed, BlueZ remembers the old one: `bluetoothctl remove ADDRESS`, "
        "and pair it anew"
    )


def _translate_radio(error: Any, _: str) -> SourceError:
    if str(error.args[0]).startswith("radio "):  # one of our own, which names itself
        return RadioUnavailable(f"{error.args[0]}: is it plugged in, or the virtual one running?")
    return RadioUnavailable(_RADIO.get(error.reason) or f"Bluetooth cannot be used ({error.args[0]})")


def _translate_missing(error: Any, who: str) -> SourceError:
    return SensorRefused(f"{who}it has no characteristic {error.char_specifier}: is it the right family?")


def _translate_forgotten(_: Any, who: str) -> SourceError:
    return SensorNotFound(f"{who}the system forgot it before we connected; looking for it again")


def _translate_timeout(_: Any, who: str) -> SourceError:
    return SensorLost(f"{who}no answer in time")


def _translate_system(error: Any, _: str) -> SourceError:
    """What the way to the Bluetooth service says."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return RadioUnavailable("there is no D-Bus system bus, which BlueZ needs: start dbus and bluetooth")
    if isinstance(error, PermissionError):
        return RadioUnavailable(_RADIO[Reason.DENIED_BY_SYSTEM])
    return RadioUnavailable(f"the connection to the Bluetooth service broke ({error or type(error).__name__})")


def _translate_dbus(error: Any, who: str) -> SourceError:
    name = error.dbus_error.rpartition(".")[2]
    details = str(error.dbus_error_details or "")
    if name == "NotPermitted" and (said := _translate_not_permitted(details, who)) is not None:
        return said
    told = _RADIO_BY_DBUS.get(name)
    if told is not None:
        return RadioUnavailable(told)
    if name in ("InProgress", "Busy"):
        return SensorLost(f"{who}{BUSY}")
    if name in _PAIR_FAILED:
        return _ask_to_pair(who)
    if name in ("UnknownObject", "DoesNotExist"):
        return _translate_forgotten(error, who)
    return _translate_text(details or name, who)


def _translate_not_permitted(details: str, who: str) -> SourceError | None:
    """What the sensor does not permit; BlueZ says it as it says what the system does not (its `gatt-client.c`)."""
    words = details.lower()
    if any(each in words for each in _UNPAIRED):
        return _ask_to_pair(who)
    if words.startswith(("read not", "write not")):
        return _refuse(who, details)
    return None


def _translate_gatt(error: Any, who: str) -> SourceError:
    code = error.args[0]
    if code in _PAIRING:
        return _ask_to_pair(who)
    if code == Code.PROCEDURE_ALREADY_IN_PROGRESS:
        return SensorLost(f"{who}it is busy with a request of before; trying again")
    return _refuse(who, error.args[1])


def _refuse(who: str, why: str) -> SensorRefused:
    return SensorRefused(f"{who}it refuses a request ({why}): is it the right family, and its firmware new?")


def _translate_text(text: str, who: str) -> SourceError:
    """What has no type of its own."""
    words = text.lower()
    if any(each in words for each in _SLOTS):
        return OutOfSlots(
            f"{who}the adapter holds no more connections: use fewer connected sensors, or a second adapter"
        )
    if any(each in words for each in _ABORTED):
        return SensorLost(f"{who}the connection could not be made; is it near, charged, and free of other devices?")
    if "inprogress" in words or "in progress" in words:
        return SensorLost(f"{who}{BUSY}")
    if words.startswith("adapter '") and words.endswith("not found"):
        return RadioUnavailable(f"{text}: set bluetooth.adapter to one of those that `bluetoothctl list` shows")
    if "bluez" in words and "requires" in words:
        return RadioUnavailable(f"{text.rstrip('.')}: install a newer BlueZ")
    return SensorLost(f"{who}{' '.join(text.split()) or 'the connection was lost'}")


def _ask_to_pair(who: str) -> SensorRefused:
    return SensorRefused(
        f"{who}it wants to be paired: pair it once with `bluetoothctl` (scan on, pair ADDRESS, trust ADDRESS)"
    )


_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[Any, str], SourceError]], ...] = (
    (BleakBluetoothNotAvailableError, _translate_radio),
    (BleakDBusError, _translate_dbus),
    (BleakGATTProtocolError, _translate_gatt),
    (BleakCharacteristicNotFoundError, _translate_missing),
    (BleakDeviceNotFoundError, _translate_forgotten),
    (TimeoutError, _translate_timeout),
    ((EOFError, OSError), _translate_system),
)

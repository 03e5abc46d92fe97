"""Every way in which the Bluetooth stack can fail is one line that says what to do; made from real exceptions."""

from __future__ import annotations

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from posturewatch.drivers import Offered, Options, discover
from posturewatch.errors import CharacteristicMissing, RadioUnavailable, SensorRefused, SourceError
from posturewatch.sources.ble.errors import OutOfSlots, SensorLost, SensorNotFound, hint_at_cache, translate

Reason = BleakBluetoothNotAvailableReason


def dbus(name: str, *details: str) -> BleakDBusError:
    return BleakDBusError(f"org.bluez.Error.{name}" if "." not in name else name, list(details))


def no_radio(reason: Reason) -> BleakBluetoothNotAvailableError:
    return BleakBluetoothNotAvailableError("No powered Bluetooth adapters found.", reason)


CASES = [
    (no_radio(Reason.NO_BLUETOOTH), RadioUnavailable, "no Bluetooth adapter is there"),
    (no_radio(Reason.NO_BLE_CENTRAL_ROLE), RadioUnavailable, "use another one"),
    (no_radio(Reason.POWERED_OFF), RadioUnavailable, "bluetoothctl power on"),
    (no_radio(Reason.DENIED_BY_SYSTEM), RadioUnavailable, "does not permit"),
    (no_radio(Reason.UNKNOWN), RadioUnavailable, "No powered Bluetooth adapters found."),
    (FileNotFoundError(2, "No such file"), RadioUnavailable, "no D-Bus system bus"),
    (ConnectionRefusedError(111, "refused"), RadioUnavailable, "no D-Bus system bus"),
    (PermissionError(13, "denied"), RadioUnavailable, "does not permit"),
    (EOFError(), RadioUnavailable, "Bluetooth service broke"),
    (ConnectionResetError(104, "reset"), RadioUnavailable, "Bluetooth service broke"),
    (dbus("org.freedesktop.DBus.Error.ServiceUnknown", "bluez"), RadioUnavailable, "BlueZ does not answer"),
    (dbus("org.freedesktop.DBus.Error.NoReply"), RadioUnavailable, "BlueZ does not answer"),
    (dbus("org.freedesktop.DBus.Error.AccessDenied", "policy"), RadioUnavailable, "does not permit"),
    (dbus("NotReady", "Resource Not Ready"), RadioUnavailable, "powered off"),
    (dbus("InProgress", "Operation already in progress"), SensorLost, "busy"),
    (dbus("Failed", "le-connection-abort-by-local"), SensorLost, "could not be made"),
    (dbus("Failed", "Software caused connection abort"), SensorLost, "could not be made"),
    (dbus("Failed", "Not enough resources"), OutOfSlots, "holds no more connections"),
    (dbus("AuthenticationFailed", "Authentication Failed"), SensorRefused, "pair it once"),
    (dbus("NotPermitted", "Not paired"), SensorRefused, "pair it once"),
    (dbus("NotPermitted", "Not encrypted"), SensorRefused, "pair it once"),
    (dbus("NotPermitted", "Read not permitted"), SensorRefused, "Read not permitted"),
    (dbus("NotPermitted", "Operation not permitted"), RadioUnavailable, "does not permit"),
    (dbus("org.freedesktop.DBus.Error.UnknownObject", "gone"), SensorNotFound, "forgot it"),
    (BleakGATTProtocolError(0x05), SensorRefused, "pair it once"),
    (BleakGATTProtocolError(0x0F), SensorRefused, "pair it once"),
    (BleakGATTProtocolError(0xFE), SensorLost, "busy"),
    (BleakGATTProtocolError(0x03), SensorRefused, "Write Not Permitted"),
    (BleakGATTProtocolError(0x99), SensorRefused, "refuses a request"),
    (BleakCharacteristicNotFoundError("2a37"), SensorRefused, "no characteristic 2a37"),
    (BleakDeviceNotFoundError("C0:00"), SensorNotFound, "forgot it"),
    (BleakError("adapter 'hci7' not found"), RadioUnavailable, "bluetoothctl list"),
    (BleakError("Bleak requires BlueZ >= 5.55."), RadioUnavailable, "newer BlueZ"),
    (BleakError("failed to discover services, device disconnected"), SensorLost, "device disconnected"),
    (BleakError(""), SensorLost, "connection was lost"),
    (TimeoutError(), SensorLost, "no answer in time"),
]


@pytest.mark.parametrize(("error", "kind", "part"), CASES, ids=[f"{type(c[0]).__name__}-{c[2]}" for c in CASES])
def test_each_failure_is_one_line_that_helps(error, kind, part):
    said = translate(error, "chest")
    assert type(said) is kind
    assert part in str(said)
    assert "\n" not in str(said)
    if not isinstance(said, RadioUnavailable):
        assert str(said).startswith("sensor chest: ")


@pytest.mark.parametrize("family", ["polar", "movesense", "witmotion", "infinitime", "sig_precise_acceleration_3d"])
def test_who_paired_a_sensor_with_former_firmware_is_told_to_forget_it(family):
    with pytest.raises(CharacteristicMissing) as missing:
        next(discover()[family].create(Options()).start(Offered(frozenset())))
    assert "bluetoothctl remove" in str(hint_at_cache(missing.value))
    other = SensorRefused("it is in its charger")
    assert hint_at_cache(other) is other


def test_what_is_ours_already_stays_as_it_is():
    error = SensorRefused("the strap is dry")
    assert translate(error, "chest") is error


def test_whether_to_try_again_is_told_by_the_kind():
    assert all(translate(error).retry for error, kind, _ in CASES if kind is not SensorRefused)
    assert not any(translate(error).retry for error, kind, _ in CASES if kind is SensorRefused)
    assert all(isinstance(translate(error), SourceError) for error, _, _ in CASES)

"""What a driver asks a connected sensor for, step by step, with the sensor's answers as bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from posturewatch.drivers import (
    BATTERY,
    Ask,
    Characteristic,
    GattDriver,
    Offered,
    Options,
    Pause,
    Read,
    Subscribe,
    Unsubscribe,
    Write,
    discover,
)
from posturewatch.drivers.movesense import NOTIFY as MOVESENSE_NOTIFY
from posturewatch.drivers.movesense import WRITE as MOVESENSE_WRITE
from posturewatch.drivers.polar import CONTROL, DATA
from posturewatch.drivers.preset_files import parse_presets
from posturewatch.errors import DecodeError, SensorRefused, SourceError, StreamEnded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from posturewatch.drivers import Request, Steps

FAMILIES = discover()
H10_SETTINGS = "f0010200000004190032006400c800010110000203020004000800"
VERITY_SETTINGS = "f001020000000134000101100002010800040103"
SDK_SETTINGS = (
    "f001020000" + "00051a0034006800d000a001" + "01011000" + "020402000400080010 00".replace(" ", "") + "040103"
)


class Sensor:
    """Answers reads and requests from a table; several answers to one request come one after the other."""

    def __init__(self, reads: Mapping[Characteristic, str], answers: Mapping[str, Iterable[str]]) -> None:
        self._reads = reads
        self._answers = {command: iter(told) for command, told in answers.items()}
        self.said: list[str] = []

    def carry_out(self, steps: Steps) -> list[bytes]:
        """Until the driver has no more steps; gives what was read."""
        answer: bytes | None = None
        failure: SourceError | None = None
        read = []
        while True:
            try:
                request = steps.throw(failure) if failure else steps.send(answer)
            except StopIteration:
                return read
            failure, answer = None, b""
            try:
                answer = self._perform(request)
            except SourceError as error:
                failure = error
            if isinstance(request, Read) and failure is None:
                read.append(answer)

    def _perform(self, request: Request) -> bytes:
        match request:
            case Read(char):
                self.said.append(f"read {char.uuid[4:8]}")
                if char not in self._reads:
                    raise SensorRefused("it cannot be read")
                return bytes.fromhex(self._reads[char])
            case Write(char, data, _):
                self.said.append(f"write {char.uuid[4:8]} {data.hex()}")
            case Subscribe(char):
                self.said.append(f"listen {char.uuid[4:8]}")
            case Unsubscribe(char):
                self.said.append(f"leave {char.uuid[4:8]}")
            case Pause(_):
                pass
            case Ask(char, data, _, is_answer):
                self.said.append(f"ask {data.hex()}")
                for packet in self._answers.get(data.hex(), ()):
                    if is_answer(bytes.fromhex(packet)):
                        return bytes.fromhex(packet)
                raise SourceError(f"no answer to {data.hex()}")
        return b""


def start(driver: GattDriver, sensor: Sensor, *chars: Characteristic) -> None:
    sensor.carry_out(driver.start(Offered(frozenset(chars))))


# ---------------------------------------------------------------- Polar

H10_START = "0202000119000101100002010200"


def polar(options: Options = Options(), features: str = "0f0500", **answers: list[str]) -> tuple[GattDriver, Sensor]:  # noqa: B008  a frozen record
    told = {"0102": [H10_SETTINGS], H10_START: ["f00202000001"], "0302": ["f003020000"]}
    told |= {command.removeprefix("x"): packets for command, packets in answers.items()}
    return FAMILIES["polar"].create(options), Sensor({CONTROL: features, BATTERY: "55"}, told)


def test_polar_listens_asks_and_starts_and_always_stops():
    driver, sensor = polar()
    start(driver, sensor, CONTROL, DATA, BATTERY)
    assert sensor.said == ["read 2a19", "listen 5c81", "listen 5c82", "read 5c81", "ask 0102", f"ask {H10_START}"]
    packet = driver.decode(DATA, bytes.fromhex("02009435770000000001f7ffffffe703f8fffeffe503"))
    assert (packet.rate_hz, packet.battery_pct, len(packet.acc_10ug)) == (25.0, 0x55, 2)
    sensor.said.clear()
    sensor.carry_out(driver.stop())
    assert sensor.said == ["ask 0302", "leave 5c82", "leave 5c81"]


def test_polar_that_streams_already_is_stopped_first():
    driver, sensor = polar(**{f"x{H10_START}": ["f0020206", "f00202000001"]})
    start(driver, sensor, CONTROL, DATA)
    assert sensor.said[-3:] == [f"ask {H10_START}", "ask 0302", f"ask {H10_START}"]


@pytest.mark.parametrize(
    ("status", "fix"), [("0a", "MTU"), ("0d", "take it out"), ("0c", "sensor mode"), ("08", "rate"), ("77", "reason")]
)
def test_polar_that_refuses_is_told_with_the_fix(status, fix):
    driver, sensor = polar(**{f"x{H10_START}": [f"f00202{status}"]})
    with pytest.raises(SensorRefused, match=fix):
        start(driver, sensor, CONTROL, DATA)


def test_polar_noise_on_the_control_point_is_let_pass():
    driver, sensor = polar(x0102=["0f6e00", "f003020000", "00", "", H10_SETTINGS])
    start(driver, sensor, CONTROL, DATA)
    assert driver.decode(CONTROL, bytes.fromhex("0f6e00")) is None
    assert driver.decode(CONTROL, b"") is None


def test_polar_without_acceleration_or_without_the_service_is_refused():
    driver, sensor = polar(features="0f0300")
    with pytest.raises(SensorRefused, match="no acceleration"):
        start(driver, sensor, CONTROL, DATA)
    with pytest.raises(SensorRefused, match="PMD"):
        start(FAMILIES["polar"].create(Options()), sensor, CONTROL)


def test_polar_that_stops_by_itself_is_an_end_of_the_stream():
    driver, sensor = polar()
    start(driver, sensor, CONTROL, DATA)
    with pytest.raises(StreamEnded):
        driver.decode(CONTROL, bytes.fromhex("0102"))
    assert driver.decode(CONTROL, bytes.fromhex("0100")) is None


def test_polar_verity_takes_its_factor_from_the_start_reply():
    verity_start = "0202000134000101100002010800040103"
    answers = {"x0102": [VERITY_SETTINGS], f"x{verity_start}": ["f002020000050140da7f39"]}
    driver, sensor = polar(features="0f6e00", **answers)
    start(driver, sensor, CONTROL, DATA)
    packet = driver.decode(DATA, bytes.fromhex("02646c76c43cc67f0780d0ff6501e40f0803fc07ff0c13f211f11a"))
    assert packet.rate_hz == 52.0
    assert packet.acc_10ug[0].tolist() == [-1171, 8711, 99259]


SDK_START = "020200011a000101100002010200040103"


@pytest.mark.parametrize("entered", ["f002090000", "f0020906"])
def test_polar_on_cloth_uses_the_sdk_mode_and_leaves_it(entered):
    answers = {"x0209": [entered], "x0102": [SDK_SETTINGS], f"x{SDK_START}": ["f002020000"], "x0309": ["f003090000"]}
    driver, sensor = polar(Options(is_clipped=True), features="0f6e02", **answers)
    start(driver, sensor, CONTROL, DATA)
    assert sensor.said[-3:] == ["ask 0209", "ask 0102", f"ask {SDK_START}"]
    sensor.said.clear()
    sensor.carry_out(driver.stop())
    assert sensor.said == ["ask 0302", "ask 0309", "leave 5c82", "leave 5c81"]


def test_polar_changes_its_mode_after_a_stream_that_was_left_running():
    answers = {"x0209": ["f002090c", "f002090000"], "x0102": [SDK_SETTINGS], f"x{SDK_START}": ["f002020000"]}
    driver, sensor = polar(Options(is_clipped=True), **answers)
    start(driver, sensor, CONTROL, DATA)
    assert sensor.said[-5:-2] == ["ask 0209", "ask 0302", "ask 0209"]


def test_polar_without_sdk_mode_cannot_be_worn_on_cloth():
    driver, sensor = polar(Options(is_clipped=True), x0209=["f0020903"])
    with pytest.raises(SensorRefused, match="firmware"):
        start(driver, sensor, CONTROL, DATA)


def test_polar_that_does_not_answer_the_stop_is_left_all_the_same():
    driver, sensor = polar(x0302=[])
    start(driver, sensor, CONTROL, DATA)
    sensor.carry_out(driver.stop())
    assert sensor.said[-3:] == ["ask 0302", "leave 5c82", "leave 5c81"]


def test_a_stop_before_any_start_says_nothing():
    for family in FAMILIES.values():
        if not family.capabilities.is_advertised:
            sensor = Sensor({}, {})
            sensor.carry_out(family.create(Options()).stop())
            assert sensor.said == [], family.id


# ---------------------------------------------------------------- WitMotion


def wit(uuid: str, tail: str = "9a34fb") -> Characteristic:
    return Characteristic(f"0000ffe5-0000-1000-8000-00805f{tail}", f"0000{uuid}-0000-1000-8000-00805f{tail}")


WIT_FLAT = bytes.fromhex("5561000000000008" + "00" * 12)
UNLOCK, TO_50_HZ, TO_20_HZ = "write ffe9 ffaa6988b5", "write ffe9 ffaa030800", "write ffe9 ffaa030700"
TO_10_HZ = "write ffe9 ffaa030600"
ASK_RATE, ASK_BATTERY = "ask ffaa270300", "write ffe9 ffaa276400"


@pytest.mark.parametrize("tail", ["9a34fb", "9b34fb"])
def test_witmotion_streams_as_it_is_and_nothing_is_changed(tail):
    driver, sensor = FAMILIES["witmotion"].create(Options()), Sensor({}, {})
    start(driver, sensor, wit("ffe4", tail), wit("ffe9", tail))
    assert sensor.said == ["listen ffe4", ASK_RATE, ASK_BATTERY]
    sensor.carry_out(driver.stop())
    assert sensor.said[-1] == "leave ffe4"
    assert not [said for said in sensor.said if "ffaa00" in said], "nothing is ever saved"


@pytest.mark.parametrize(
    ("found", "wanted_hz", "told", "back"),
    [("07", 30.0, TO_50_HZ, TO_20_HZ), ("08", 10.0, TO_10_HZ, TO_50_HZ), ("none", 50.0, TO_50_HZ, TO_10_HZ)],
)
def test_witmotion_is_asked_for_another_rate_and_given_back_its_own(found, wanted_hz, told, back):
    driver = FAMILIES["witmotion"].create(Options(rate_hz=wanted_hz))
    answers = [] if found == "none" else ["00" * 7 + "557103000" + found[1] + "00" * 15]
    sensor = Sensor({}, {"ffaa270300": answers})
    start(driver, sensor, wit("ffe4"), wit("ffe9"))
    assert sensor.said[-2:] == [UNLOCK, told]
    assert driver.decode(wit("ffe4"), WIT_FLAT).rate_hz == (10.0 if told == TO_10_HZ else 50.0)
    sensor.said.clear()
    sensor.carry_out(driver.stop())
    assert sensor.said == [UNLOCK, back, "leave ffe4"]


def test_witmotion_that_runs_as_wanted_is_not_changed():
    driver, sensor = (
        FAMILIES["witmotion"].create(Options(rate_hz=20.0)),
        Sensor({}, {"ffaa270300": ["55710300" + "0700" + "00" * 14]}),
    )
    start(driver, sensor, wit("ffe4"), wit("ffe9"))
    assert UNLOCK not in sensor.said
    assert driver.decode(wit("ffe4"), WIT_FLAT).rate_hz == 20.0


def streaming_witmotion() -> GattDriver:
    driver = FAMILIES["witmotion"].create(Options())
    start(driver, Sensor({}, {}), wit("ffe4"))
    return driver


@pytest.mark.parametrize(("centivolts", "pct"), [(420, 100), (396, 100), (386, 60), (340, 5), (310, 0), (0, None)])
def test_witmotion_tells_its_battery_in_the_stream(centivolts, pct):
    payload = bytes.fromhex("55716400") + struct.pack("<H", centivolts) + bytes(14)
    packet = streaming_witmotion().decode(wit("ffe4"), payload)
    assert (packet.battery_pct if packet else None) == pct


@pytest.mark.parametrize("size", [1, 7, 19, 20, 21, 40, 63])
def test_witmotion_packets_are_found_however_the_stream_is_cut(size):
    driver = streaming_witmotion()
    packets = [b"\x55\x61" + struct.pack("<9h", n, -n, 2048, *([0x6155] * 6)) for n in range(30)]
    stream = b"\x61\x00\x55" + b"".join(packets)  # begins inside a packet
    found = []
    for at in range(0, len(stream), size):
        packet = driver.decode(wit("ffe4"), stream[at : at + size])
        found += [] if packet is None else packet.acc_10ug.tolist()
    assert [row[0] for row in found] == [round(n * 16 / 32768 * 1e5) for n in range(30)]
    assert {row[2] for row in found} == {100_000}


def test_witmotion_relatives_with_longer_packets_are_not_taken_for_it():
    driver = streaming_witmotion()
    assert driver.decode(wit("ffe4"), b"\x55\x61" + bytes(26)) is None
    with pytest.raises(DecodeError, match="without a packet"):
        driver.decode(wit("ffe4"), b"\x55\x61" + bytes(26))


def test_a_sensor_without_the_characteristics_is_refused():
    with pytest.raises(SensorRefused, match="FFE4"):
        start(FAMILIES["witmotion"].create(Options()), Sensor({}, {}), DATA)
    with pytest.raises(SensorRefused, match="gatt_sensordata_app"):
        start(FAMILIES["movesense"].create(Options()), Sensor({}, {}), DATA)


# ---------------------------------------------------------------- Movesense

SUBSCRIBE = "01632f4d6561732f4163632f3133"
UNSUBSCRIBE, HELLO = "0263", "0001"
GET_LEVEL = "write 0001 0464" + b"/System/Energy/Level".hex()


def movesense(*subscribed: str, options: Options = Options()) -> tuple[GattDriver, Sensor]:  # noqa: B008  a frozen record
    command = SUBSCRIBE if options.rate_hz is None else SUBSCRIBE[:-4] + b"52".hex()
    answers = {HELLO: ["010101" + b"1234\0".hex()], command: list(subscribed), UNSUBSCRIBE: ["0163c800"]}
    return FAMILIES["movesense"].create(options), Sensor({}, answers)


def test_movesense_greets_subscribes_and_unsubscribes():
    driver, sensor = movesense("02630000", "0163c800")
    start(driver, sensor, MOVESENSE_WRITE, MOVESENSE_NOTIFY)
    assert sensor.said == ["listen 0002", f"ask {HELLO}", f"ask {SUBSCRIBE}", GET_LEVEL]
    sensor.said.clear()
    sensor.carry_out(driver.stop())
    assert sensor.said == ["write 0001 0263", "leave 0002"]


def test_movesense_forgets_the_subscription_of_a_client_that_died():
    driver, sensor = movesense("0163f701", "0163c800")
    start(driver, sensor, MOVESENSE_WRITE, MOVESENSE_NOTIFY)
    assert sensor.said[1:-1] == [f"ask {part}" for part in (HELLO, SUBSCRIBE, UNSUBSCRIBE, SUBSCRIBE)]


def test_movesense_that_refuses_is_told_with_the_fix():
    driver, sensor = movesense("0163f701", "0163f701")
    with pytest.raises(SensorRefused, match="503"):
        start(driver, sensor, MOVESENSE_WRITE, MOVESENSE_NOTIFY)


def measurement(ms: int, *samples: tuple[float, float, float]) -> bytes:
    return struct.pack("<I", ms) + b"".join(struct.pack("<3f", *sample) for sample in samples)


SAMPLES = [(float(n), -float(n), 9.80665) for n in range(8)]


@pytest.mark.parametrize("cut", [4, 16, 17, 50, 100])
def test_movesense_packets_in_two_parts_lose_nothing(cut):
    driver, _ = movesense(options=Options(rate_hz=52))
    data = measurement(1000, *SAMPLES)
    heard = [
        driver.decode(MOVESENSE_NOTIFY, b"\x02\x63" + data[:cut]),
        driver.decode(MOVESENSE_NOTIFY, b"\x03\x63" + data[cut:]),
    ]
    rows = [row for packet in heard for row in packet.acc_10ug.tolist()]
    assert [row[0] for row in rows] == [round(n / 9.80665 * 1e5) for n in range(8)]
    assert heard[1].device_ns - heard[0].device_ns == round(len(heard[1].acc_10ug) * 1e9 / 52)


def test_movesense_half_a_sample_whose_rest_never_came_is_counted():
    driver, _ = movesense()
    assert driver.decode(MOVESENSE_NOTIFY, b"\x02\x63" + measurement(0, *SAMPLES)[:-5]).invalid == 0
    after = driver.decode(MOVESENSE_NOTIFY, b"\x02\x63" + measurement(100, *SAMPLES))
    assert (len(after.acc_10ug), after.invalid) == (8, 1)


def test_movesense_second_part_without_a_first_is_nothing():
    driver, _ = movesense()
    assert driver.decode(MOVESENSE_NOTIFY, b"\x03\x63" + bytes(24)) is None


def test_movesense_clock_goes_on_when_its_counter_is_full_and_back_when_it_was_restarted():
    driver, _ = movesense()
    told = [
        driver.decode(MOVESENSE_NOTIFY, b"\x02\x63" + measurement(ms, SAMPLES[0])).device_ns // 1_000_000
        for ms in (2**32 - 300, 300, 900, 0)
    ]
    assert told[:3] == [2**32 - 300, 2**32 + 300, 2**32 + 900]
    assert told[3] < told[2]
    driver, _ = movesense()
    for ms, expected in ((86_400_000, 86_400_000), (100, 100)):
        assert driver.decode(MOVESENSE_NOTIFY, b"\x02\x63" + measurement(ms, SAMPLES[0])).device_ns == expected * 10**6


def test_movesense_battery_and_other_traffic():
    driver, _ = movesense()
    packet = driver.decode(MOVESENSE_NOTIFY, bytes.fromhex("0164c8004d"))
    assert (packet.battery_pct, len(packet.acc_10ug)) == (77, 0)
    for digits in ("0164f40100", "0164c800", "0163c800", "010101", "0299" + "00" * 16):
        assert driver.decode(MOVESENSE_NOTIFY, bytes.fromhex(digits)) is None
    with pytest.raises(DecodeError):
        driver.decode(MOVESENSE_NOTIFY, b"\x02")


# ---------------------------------------------------------------- described sensors

PERIOD = Characteristic("e95d0753-251d-470a-a062-fa1922dfa9a8", "e95dfb24-251d-470a-a062-fa1922dfa9a8")
MICROBIT = Characteristic("e95d0753-251d-470a-a062-fa1922dfa9a8", "e95dca4b-251d-470a-a062-fa1922dfa9a8")


def test_microbit_takes_the_period_that_the_board_chose_and_gets_back_its_own():
    driver = FAMILIES["microbit"].create(Options())

    class Board(Sensor):
        def _perform(self, request: Request) -> bytes:
            if isinstance(request, Write):
                self._reads = {PERIOD: "6400"}  # the next longer one that it knows
            return super()._perform(request)

    board = Board({PERIOD: "1400"}, {})
    start(driver, board, PERIOD, MICROBIT)
    assert board.said == ["read fb24", "write fb24 2800", "read fb24", "listen ca4b"]
    assert driver.decode(MICROBIT, bytes.fromhex("ceffceff00fc")).rate_hz == 10.0
    board.said.clear()
    board.carry_out(driver.stop())
    assert board.said == ["leave ca4b", "write fb24 1400"]


def test_adafruit_period_is_that_of_the_accelerometer():
    driver, sensor = FAMILIES["adafruit"].create(Options()), None
    tail = "-c332-42a8-93bd-25e905756cb8"
    accelerometer, temperature = f"adaf0200{tail}", f"adaf0100{tail}"
    period = Characteristic(accelerometer, f"adaf0001{tail}")
    sensor = Sensor({period: "e8030000"}, {})
    value = Characteristic(accelerometer, f"adaf0201{tail}")
    start(driver, sensor, period, value, Characteristic(temperature, f"adaf0001{tail}"))
    assert sensor.said[:2] == ["read 0001", "write 0001 64000000"]


def test_infinitime_is_read_when_it_is_silent_and_tells_its_battery():
    service = "00030000-78fc-48fe-8e23-433b3a1942d0"
    motion = Characteristic(service, "00030002-78fc-48fe-8e23-433b3a1942d0")
    driver, sensor = FAMILIES["infinitime"].create(Options()), Sensor({motion: "000000000004", BATTERY: "40"}, {})
    start(driver, sensor, motion, BATTERY)
    assert driver.decode(motion, bytes.fromhex("000000000004")).battery_pct == 64
    assert driver.decode(motion, bytes.fromhex("000000000004")).battery_pct is None
    assert sensor.carry_out(driver.keep_alive()) == [bytes.fromhex("000000000004"), b"\x40"]
    assert driver.decode(BATTERY, b"\x41").battery_pct == 65
    with pytest.raises(DecodeError, match="battery"):
        driver.decode(BATTERY, b"\xff")


def test_a_battery_that_cannot_be_read_is_no_obstacle():
    driver, sensor = FAMILIES["sig_precise_acceleration_3d"].create(Options()), Sensor({}, {})
    value = Characteristic("5e500001-7077-4d53-9a1b-0c5d2e8f4a10", "00002c1e-0000-1000-8000-00805f9b34fb")
    start(driver, sensor, value, BATTERY)
    assert driver.decode(value, bytes.fromhex("0400fcff0c04")).battery_pct is None
    for _ in range(2):  # neither the value nor the battery
        sensor.carry_out(driver.keep_alive())
    assert sensor.said[2:] == ["read 2c1e", "read 2a19"], "asked once more, and never again"
    driver, sensor = polar()
    start(driver, sensor, CONTROL, DATA, BATTERY)
    silent = Sensor({}, {})
    for _ in range(2):
        silent.carry_out(driver.keep_alive())
    assert silent.said == ["read 2a19"]


def test_a_board_that_is_only_read_and_refuses_it_is_told():
    driver = described('[mine]\nkind = "read"\nchar = "0xAA01"\ntype = "i8"\nunit = "g"\npoll_s = 2\n')
    start(driver, Sensor({}, {}), char("aa01"))
    with pytest.raises(SensorRefused, match="cannot be read"):
        Sensor({}, {}).carry_out(driver.keep_alive())


def test_a_characteristic_in_two_services_must_be_named():
    driver = FAMILIES["sig_precise_acceleration_3d"].create(Options())
    twice = [Characteristic(service, "00002c1e-0000-1000-8000-00805f9b34fb") for service in ("a", "b")]
    with pytest.raises(SensorRefused, match="name one with `service`"):
        start(driver, Sensor({}, {}), *twice)
    with pytest.raises(SensorRefused, match="has no characteristic 00002c1e"):
        start(driver, Sensor({}, {}), MICROBIT)


def described(text: str) -> GattDriver:
    ((family, _),) = parse_presets(text, "mine.toml")
    return family.create(Options())


def char(uuid: str) -> Characteristic:
    return Characteristic("s", f"0000{uuid}-0000-1000-8000-00805f9b34fb")


def test_one_characteristic_for_each_axis():
    driver = described(
        '[mine]\nkind = "notify"\ntype = "f32"\nunit = "g"\nsplit = { x = "0xAA01", y = "0xAA02", z = "0xAA03" }\n'
    )
    chars = [char("aa01"), char("aa02"), char("aa03")]
    start(driver, Sensor({}, {}), *chars)
    heard = [driver.decode(at, struct.pack("<f", value)) for at, value in zip(chars * 2, range(6), strict=True)]
    assert [None if packet is None else packet.acc_10ug.tolist() for packet in heard] == [
        None, None, [[0, 100_000, 200_000]], None, None, [[300_000, 400_000, 500_000]],
    ]  # fmt: skip
    assert driver.decode(chars[0], b"\0") is None


def test_a_sensor_that_is_read():
    driver = described(
        '[mine]\nkind = "read"\nchar = "0xAA01"\ntype = "i8"\nunit = "g"\nscale = 0.015625\npoll_s = 2\n'
    )
    sensor = Sensor({char("aa01"): "400000"}, {})
    start(driver, sensor, char("aa01"))
    assert sensor.said == []
    (value,) = sensor.carry_out(driver.keep_alive())
    packet = driver.decode(char("aa01"), value)
    assert (packet.acc_10ug.tolist(), packet.rate_hz) == ([[100_000, 0, 0]], 0.5)
    sensor.said.clear()
    sensor.carry_out(driver.stop())
    assert sensor.said == []


def test_many_samples_with_time_and_counter_in_one_packet():
    driver = described(
        '[mine]\nkind = "notify"\nchar = "0xAA01"\ntype = "i16"\nunit = "mg"\noffset = 6\nrepeat = "rest"\n'
        "rate_hz = 10\n"
        'order = ["y", "-x", "z"]\nseq = { offset = 0, type = "u16" }\n'
        'time = { offset = 2, type = "u32", unit = "ms", of = "first" }\n'
    )
    start(driver, Sensor({}, {}), char("aa01"))
    packet = driver.decode(char("aa01"), struct.pack("<HI6h", 9, 1000, 1, 2, 3, 4, 5, 6))
    assert packet.acc_10ug.tolist() == [[-200, 100, 300], [-500, 400, 600]]
    assert (packet.seq, packet.seq_modulus, packet.device_ns) == (9, 65536, 1_100_000_000)
    with pytest.raises(DecodeError, match="whole number"):
        driver.decode(char("aa01"), bytes(13))
    with pytest.raises(DecodeError, match="too few"):
        driver.decode(char("aa01"), bytes(11))


def test_a_write_whose_answer_is_expected():
    driver = described(
        '[mine]\nkind = "notify"\nchar = "0xAA01"\ntype = "i16"\nunit = "mg"\n'
        'on_start = [{ char = "0xAA02", hex = "01", expect = "81" }]\non_stop = [{ char = "0xAA02", hex = "00" }]\n'
    )
    sensor = Sensor({}, {"01": ["7f", "8100"]})
    start(driver, sensor, char("aa01"), char("aa02"))
    assert sensor.said == ["listen aa02", "ask 01", "leave aa02", "listen aa01"]
    sensor.said.clear()
    sensor.carry_out(driver.stop())
    assert sensor.said == ["leave aa01", "write aa02 00"]


def text_driver() -> GattDriver:
    driver = FAMILIES["espruino_uart_text"].create(Options())
    start(driver, Sensor({}, {}), UART)
    return driver


UART = Characteristic("6e400001-b5a3-f393-e0a9-e50e24dcca9e", "6e400003-b5a3-f393-e0a9-e50e24dcca9e")


@pytest.mark.parametrize("size", [1, 5, 20, 100])
def test_lines_are_put_together_however_they_are_cut(size):
    driver, stream = text_driver(), b"".join(b"0.%03d,-1,1e-1\r\n" % n for n in range(20))
    found = []
    for at in range(0, len(stream), size):
        packet = driver.decode(UART, stream[at : at + size])
        found += [] if packet is None else packet.acc_10ug.tolist()
    assert found == [[n * 100, -100_000, 10_000] for n in range(20)]


def test_lines_that_are_no_samples_are_counted_or_refused():
    driver = text_driver()
    packet = driver.decode(UART, b"0,0,1\nhello\nnan,0,1\n1,2\n0,0,1e30\n")
    assert (len(packet.acc_10ug), packet.invalid) == (1, 4)
    with pytest.raises(DecodeError, match="hello"):
        driver.decode(UART, b"hello world\n")


def test_a_line_without_end_is_let_go():
    driver = text_driver()
    assert driver.decode(UART, b"1" * 200) is None
    with pytest.raises(DecodeError, match="line end"):
        driver.decode(UART, b"1")
    assert driver.decode(UART, b"111\n0,0,1\n").acc_10ug.tolist() == [[0, 0, 100_000]]


def test_a_packet_longer_than_described_is_refused():
    driver = described('[mine]\nkind = "notify"\nchar = "0xAA01"\ntype = "i16"\nunit = "mg"\nmax_packet = 20\n')
    start(driver, Sensor({}, {}), char("aa01"))
    with pytest.raises(DecodeError, match="allows 20"):
        driver.decode(char("aa01"), bytes(21))
    assert driver.decode(char("bbbb"), bytes(21)) is None

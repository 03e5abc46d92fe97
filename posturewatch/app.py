"""The orchestrator: builds the parts from the configuration, nests their scopes, starts and ends their tasks in order.

    lock ─ broker ─ sink ─ control socket ─ [ sources, one watch per wearer, ticks, saver, signals ]

What is outside opens first and closes last: when the watches have stopped, the state is saved, the last messages go
out, the last of all is `offline`.  A stop is not the end of a bout: it is a gap, like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from posturewatch.calibrating.glimpses import Glimpses
from posturewatch.config import kept_path, load, read_kept, to_mapped_topics, write_calibration
from posturewatch.errors import CommandError, ConfigError, MissingExtra, SnapshotError
from posturewatch.home_assistant.discovery import subject_of
from posturewatch.mqtt.access import broker_of
from posturewatch.mqtt.announcing import Announcer
from posturewatch.mqtt.embedded_broker import DEFAULT_PORT, BrokerDied
from posturewatch.publishing.messages import simulated_truth
from posturewatch.publishing.topics import Topics
from posturewatch.requests.control_socket import listening, socket_path
from posturewatch.requests.desk import Desk
from posturewatch.requests.surroundings import Neighbourhood
from posturewatch.sinks import SinkContext, find_sink
from posturewatch.sinks.assembly import build_local_sinks, check_local_sinks, to_channels
from posturewatch.sinks.outbox import Outbox, Outlets
from posturewatch.sources.assembly import SourceContext, build_sources
from posturewatch.sources.packet_queue import PacketQueue
from posturewatch.status.reports import Reports
from posturewatch.store import SnapshotStore, lock_folder
from posturewatch.systemd import ServiceNotice
from posturewatch.types import NS_PER_S
from posturewatch.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from posturewatch.clock import Clock
    from posturewatch.config import LoadedConfig, Wearer
    from posturewatch.core.settings import Calibration, Settings
    from posturewatch.mqtt.access import Access
    from posturewatch.mqtt.embedded_broker import EmbeddedBroker
    from posturewatch.mqtt.link import Received
    from posturewatch.signals import Signals
    from posturewatch.sinks.mqtt import MqttSink
    from posturewatch.sources.assembly import Sources
    from posturewatch.types import Message

log = logging.getLogger(__name__)

DRAIN_S = 1.0  # what was not sent by then is not worth waiting for
CANCEL_S = 2.0  # the sink's own goodbye is shorter
READY_S = 10.0  # a service is ready without its broker, too
BIRTH_DELAY_S = (0.1, 2.0)
SAVE_GAP_S = 1.0
SENDING_NS = 5 * NS_PER_S  # of real time
TABLES_NS = 86_400 * NS_PER_S  # local time tables are renewed daily
MOST_BROKER_DEATHS = 5
STEADY_NS = 600 * NS_PER_S
BREATH = 20  # so many wearers' ticks at once, then others may work


class Stop(Exception):  # not an error: the way to end a task group
    """Somebody wants us to end."""


class Restart(Exception):  # not an error: the way to end a task group
    """All parts are built anew: the configuration changed so much, or the embedded broker died."""


@dataclass(frozen=True, slots=True)
class Given:
    """All that the app takes from outside."""

    loaded: LoadedConfig
    clock: Clock
    signals: Signals
    environ: Mapping[str, str] = field(default_factory=dict)
    speed: float = 1.0  # of the clock
    port: int | None = DEFAULT_PORT  # of the embedded broker; None: any
    on_broker: Callable[[EmbeddedBroker], None] | None = None
    on_published: Callable[[Message], None] | None = None
    on_watches: Callable[[list[Watch]], None] | None = None
    withdraw: bool = False  # let the broker forget us at the end
    has_control: bool = True
    tells_truth: bool = False  # about simulated wearers, at the broker: for testers
    broker_deaths: int | None = 0  # of an embedded broker, one soon after the other; None: the first ends us, too


async def run(given: Given) -> None:
    """Watch over the wearers until stopped.  Raises what ended it otherwise, as a `PosturewatchError` or a bug."""
    while True:
        folder = given.loaded.state_folder()
        with lock_folder(folder):
            async with broker_of(given.loaded, folder, given.port, given.on_broker) as access:
                app = App(given, access)
                await app.serve()
        if app.successor is None:
            return
        given = app.successor


class App:
    """The parts of one configuration, while it is in force."""

    def __init__(self, given: Given, access: Access) -> None:
        """Build everything; nothing runs yet."""
        self._given = given
        self._clock = given.clock
        self._access = access
        self._loaded = given.loaded
        self._topics = Topics(access.publish.base_topic)
        self._outbox = Outbox(self._expired_ns)
        config, now_ns = given.loaded.config, self._clock.now_ns
        self._local = build_local_sinks(config, now_ns, given.speed, self._answer)
        self._outlets = Outlets([self._outbox, *(local.outbox for local in self._local)])
        self._store = SnapshotStore(given.loaded.state_folder())
        self._saving = threading.Lock()
        self._notice = ServiceNotice(given.environ)
        self._started_ns = self._tables_ns = self._clock.now_ns()
        self._ready = asyncio.Event()  # the broker was told that we are there
        self.watches = [self._watch(wearer) for wearer in self._loaded.config.wearer]
        self._queues = [PacketQueue(watch.wearer, self._clock.now_ns) for watch in self.watches]
        self._sources = self._build_sources()
        self._save_soon = asyncio.Event()
        about = (self._topics, self.watches, self._outbox, self._clock.now_ns)
        self._desk = Desk(*about, self._save_soon.set, self._calibrated)
        mapped = zip(self.watches, map(to_mapped_topics, self._loaded.config.wearer), strict=True)
        self._neighbourhood = Neighbourhood(mapped, self._clock.now_ns, access.publish.base_topic)
        self._announcer = Announcer(self._store.folder, self._topics, given.loaded.config.home_assistant)
        self._sink = self._build_sink()
        self._reports = self._build_reports()
        self.successor: Given | None = None

    # ------------------------------------------------------------ building

    def _watch(self, wearer: Wearer) -> Watch:
        settings = self._settings(self._loaded, wearer, self._started_ns)
        simulated = any(sensor.source == "simulated" for sensor in wearer.sensor)
        snapshot = self._store.load(wearer.id, self._started_ns)
        saved = None if snapshot is None else snapshot.state
        channels = to_channels(self._loaded.config, wearer.id)
        try:
            watch = Watch(settings, self._topics, self._outlets, simulated=simulated, saved=saved, channels=channels)
        except SnapshotError as error:
            self._store.reject(wearer.id, str(error))
            watch = Watch(settings, self._topics, self._outlets, simulated=simulated, channels=channels)
        watch.on_upright = self._calibrated
        return watch

    def _settings(self, loaded: LoadedConfig, wearer: Wearer, now_ns: int) -> Settings:
        """The core's settings.  On a fast clock a packet may be late by as many of its seconds as there are in ours."""
        settings = loaded.to_core(wearer, now_ns)
        folder, speed = self._store.folder, self._given.speed
        kept = [s if s.calibration else replace(s, calibration=read_kept(folder, s.id)) for s in settings.sensors]
        settings = replace(settings, sensors=tuple(kept))
        late = [replace(sensor, lateness_ns=round(sensor.lateness_ns * speed)) for sensor in settings.sensors]
        return settings if speed <= 1.0 else replace(settings, sensors=tuple(late))

    def _expired_ns(self) -> int:
        """Until when messages have expired.  A fast clock does not make the way to the broker any faster."""
        return self._clock.now_ns() - round((self._given.speed - 1.0) * SENDING_NS)

    def _build_sources(self) -> Sources:
        """Each sensor's samples go into its wearer's queue."""
        loaded = self._loaded
        sensors = [
            (sensor, queue.put)
            for wearer, queue in zip(loaded.config.wearer, self._queues, strict=True)
            for sensor in wearer.sensor
        ]
        bound, bluetooth = loaded.bind_sensors(), loaded.config.bluetooth
        tell = self._tell_truth if self._given.tells_truth else None
        around = SourceContext(
            self._clock,
            self._access.hear,
            bound,
            bluetooth,
            self._given.speed,
            is_off_body=self._is_off_body,
            tell_truth=tell,
        )
        return build_sources(sensors, around)

    def _is_off_body(self, sensor: str) -> bool:
        return any(watch.is_off_body(sensor) for watch in self.watches)

    def _build_sink(self) -> MqttSink:
        """The way out to the broker, and in from it for all but samples."""
        hears = (self._desk, self._announcer, self._neighbourhood)
        context = SinkContext(
            self._outbox,
            self._clock.now_ns,
            mqtt=self._access.publish,
            subscriptions=tuple(topic for each in hears for topic in each.subscriptions),
            on_message=self._hear,
            announce=self._announce,
            on_published=self._published,
            clock_speed=self._given.speed,
        )
        return cast("MqttSink", find_sink("mqtt").build(context))

    def _build_reports(self) -> Reports:
        return Reports(
            topics=self._topics,
            mqtt=self._access.publish,
            clock=self._clock,
            started_ns=self._started_ns,
            watches=self.watches,
            queues=self._queues,
            outbox=self._outbox,
            sink=self._sink,
            sensors=self._sources.health,
            desk=self._desk,
        )

    # ------------------------------------------------------------ running

    async def serve(self) -> None:
        """Run until stopped; whatever ends it, the state is saved and the last messages get their chance."""
        glimpses = Glimpses(self.watches, self._clock.now_ns, self._calibrated)
        answers = {
            "status": self._reports.status,
            "why": self._reports.why,
            "command": self._desk.answer,
            "glimpse": glimpses.glimpse,
            "keep_calibration": glimpses.keep,
        }
        door = socket_path(self._store.folder, self._given.environ)
        if self._given.on_watches is not None:
            self._given.on_watches(self.watches)
        async with asyncio.TaskGroup() as outer, contextlib.AsyncExitStack() as scopes:
            sinks = [outer.create_task(self._sink.run(), name="mqtt sink")]
            sinks += [outer.create_task(local.sink.run(), name=f"{local.name} sink") for local in self._local]
            if self._given.has_control:
                await scopes.enter_async_context(listening(door, answers))
            try:
                async with asyncio.TaskGroup() as inner:
                    self._start(inner)
            except* (Stop, Restart):
                pass  # the way to end a task group
            finally:
                await self._finish(sinks)

    def _start(self, group: asyncio.TaskGroup) -> None:
        group.create_task(self._until_stopped(), name="stop")
        group.create_task(self._reload_on_request(), name="reload")
        for watch, queue in zip(self.watches, self._queues, strict=True):
            group.create_task(_follow(watch, queue), name=f"watch[{watch.wearer}]")
        for name, source in self._sources.by_name.items():
            group.create_task(source.run(), name=name)
        group.create_task(self._tick(), name="ticks")
        group.create_task(self._save_now_and_then(), name="saver")
        group.create_task(self._tell_service(), name="service notice")
        group.create_task(self._reports.tell_health(), name="health")
        group.create_task(self._reports.follow_sensors(), name="sensors")
        group.create_task(self._outlive_broker(), name="broker")

    async def _finish(self, sinks: Iterable[asyncio.Task[None]]) -> None:
        """Save, say what is left to say, and hang up; bounded, since nobody waits for us."""
        self._notice.tell("STOPPING=1")
        for watch in self.watches:
            watch.work()
        try:
            await asyncio.to_thread(self._save)
        finally:
            if self._given.withdraw:
                self._outbox.put_all(self._announcer.withdraw())
            for outbox in (self._outbox, *(local.outbox for local in self._local)):
                outbox.close()
            _, pending = await asyncio.wait(sinks, timeout=DRAIN_S)
            for sink in pending:
                sink.cancel()
            if pending:
                await asyncio.wait(pending, timeout=CANCEL_S)

    # ------------------------------------------------------------ tasks

    async def _until_stopped(self) -> None:
        await self._given.signals.stop.wait()
        raise Stop

    async def _reload_on_request(self) -> None:
        reload = self._given.signals.reload
        while True:
            await reload.wait()
            reload.clear()
            self._reload()

    async def _tick(self) -> None:
        """Time passes for everybody, once a second."""
        while True:
            await self._clock.sleep(1.0)
            step = self._clock.check()
            if step is not None:
                log.warning("the time jumped by %.1f s (%s)", step.by_s, step.reason)
            now_ns = self._clock.now_ns()
            if step is not None or now_ns - self._tables_ns > TABLES_NS:
                self._renew_settings(self._loaded)
            self._neighbourhood.tick(now_ns)
            for at, watch in enumerate(self.watches, 1):
                watch.tick(now_ns)
                if not at % BREATH:
                    await asyncio.sleep(0)

    async def _save_now_and_then(self) -> None:
        """Every some seconds; soon after a command, since its sender was told that it is done."""
        while True:
            await asyncio.sleep(SAVE_GAP_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._loaded.config.storage.snapshot_s - SAVE_GAP_S):
                    await self._save_soon.wait()
            self._save_soon.clear()
            await asyncio.to_thread(self._save)

    async def _tell_service(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                await self._ready.wait()
        self._notice.tell("READY=1")
        every_s = self._notice.watchdog_s
        while True:
            connected = "connected" if self._sink.up else "no broker"
            self._notice.tell(f"STATUS={connected}, wearers: {len(self.watches)}", "WATCHDOG=1")
            await asyncio.sleep(30.0 if every_s is None else every_s / 3)

    async def _outlive_broker(self) -> None:
        """An embedded broker that ended by itself is started anew, unless it does so again and again."""
        try:
            await self._access.until_broker_dies()
        except BrokerDied as died:
            before = self._given.broker_deaths
            was_steady = self._clock.now_ns() - self._started_ns > STEADY_NS
            if before is None or (before >= MOST_BROKER_DEATHS and not was_steady):
                raise
            deaths = 1 if was_steady else before + 1
            log.warning("%s; it is started anew", str(died).partition(":")[0])
            await asyncio.sleep(deaths)
            self.successor = replace(self._given, broker_deaths=deaths)
            raise Restart from died

    # ------------------------------------------------------------ parts of tasks

    def _save(self) -> None:
        """In a thread: one snapshot for each wearer of whom there is news."""
        with self._saving:
            for watch in self.watches:
                if watch.is_changed:
                    self._store.save(watch.wearer, watch.dump(), self._clock.now_ns())

    def _announce(self) -> list[Message]:
        """All that a broker should keep, for one that is new or forgot."""
        now_ns = self._clock.now_ns()
        info = self._reports.info({sensor.source for wearer in self._loaded.config.wearer for sensor in wearer.sensor})
        states = [message for watch in self.watches for message in watch.announce(now_ns)]
        subjects = [subject_of(watch.settings, watch.simulated, self._sources.health) for watch in self.watches]
        return self._announcer.announce(subjects, [info, *self._reports.healths(), *states])

    def _hear(self, received: Received) -> None:
        """A request, or Home Assistant come back: it is told everything again, but not by all daemons at once."""
        if self._announcer.is_birth(received):
            delay_s = random.uniform(*BIRTH_DELAY_S)
            asyncio.get_running_loop().call_later(delay_s, lambda: self._outbox.put_all(self._announce()))
        else:
            self._neighbourhood.hear(received)
            self._desk.hear(received)

    def _published(self, message: Message) -> None:
        self._ready.set()
        self._announcer.published(message)
        if self._given.on_published is not None:
            self._given.on_published(message)

    def _tell_truth(self, sensor: str, told: Mapping[str, Any], start_ns: int) -> None:
        self._outbox.put(simulated_truth(self._topics, sensor, told, start_ns))

    def _reload(self) -> None:
        """Read the configuration again; one that is wrong changes nothing."""
        try:
            new = load(self._loaded.path, self._given.environ)
            new.to_mqtt()
            check_local_sinks(new.config)
            if not new.config.wearer:
                raise ConfigError(f"{new.path}: no wearer is left")
            for wearer in new.config.wearer:
                new.to_core(wearer, self._started_ns)
        except (ConfigError, MissingExtra) as error:
            for line in str(error).splitlines():
                log.error("%s; the configuration stays as it was", line)
            return
        if _parts(new) != _parts(self._loaded):
            log.info("configuration changed: all parts start anew")
            self.successor = replace(self._given, loaded=new)
            raise Restart
        self._renew_settings(new)
        logging.getLogger().setLevel(new.config.log.level.upper())
        log.info("configuration read again")

    def _renew_settings(self, loaded: LoadedConfig) -> None:
        """The same wearers and sensors with other settings, or with newer tables of local time."""
        self._tables_ns = self._clock.now_ns()
        for wearer, watch in zip(loaded.config.wearer, self.watches, strict=True):
            watch.change(self._settings(loaded, wearer, self._tables_ns))
        self._loaded = loaded

    def _calibrated(self, sensor: str, calibration: Calibration) -> None:
        """Keep a calibration that was made by command or from walking, and use it from now on."""
        configured = next(s for w in self._loaded.config.wearer for s in w.sensor if s.id == sensor)
        if configured.calibration_file is not None:
            raise CommandError(f"sensor {sensor} has a calibration_file in the configuration: remove that line first")
        path = kept_path(self._store.folder, sensor)
        try:
            write_calibration(path, calibration)
        except OSError as error:
            raise CommandError(f"{path}: the calibration cannot be kept ({error.strerror})") from error
        for watch in self.watches:
            known = watch.settings.sensors
            if any(each.id == sensor for each in known):
                now = tuple(replace(s, calibration=calibration) if s.id == sensor else s for s in known)
                watch.change(replace(watch.settings, sensors=now))

    async def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A request of a local sink: the desk is built after it."""
        return await self._desk.answer(request)


async def _follow(watch: Watch, queue: PacketQueue) -> None:
    """Samples in, messages out, until cancelled."""
    async for item in queue:
        watch.take(item)


def _parts(loaded: LoadedConfig) -> tuple[object, ...]:
    """What cannot change while the parts run."""
    config = loaded.config
    sensors = [(wearer.id, wearer.sensor, wearer.condition) for wearer in config.wearer]
    buttons = [wearer.reminding.snooze_minutes for wearer in config.wearer] if config.desktop.enabled else []
    local = (config.desktop, config.hook, buttons)
    return config.broker, config.bluetooth, config.home_assistant, config.storage, sensors, local

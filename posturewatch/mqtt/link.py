"""One live connection to an MQTT broker.  It and `client_habits.py` import the MQTT client, whose errors end here.

A connection is never reused: the client library would send messages again that it had reported as failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from posturewatch.errors import BrokerRefused, BrokerUnavailable, ConfigError
from posturewatch.mqtt.client_habits import EarlyClose, cut, heed, hurry, notice_early_close, write_soon
from posturewatch.mqtt.inbox import Inbox
from posturewatch.mqtt.settings import MQTT_5, MQTT_311

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from paho.mqtt.client import Client as PahoClient
    from paho.mqtt.client import MQTTMessage

    from posturewatch.mqtt.settings import MqttSettings, TlsSettings
    from posturewatch.types import Message

log = logging.getLogger(__name__)
# The library's own loggers repeat what our one-line errors say.
CLIENT_LOG = logging.getLogger("posturewatch.mqtt.link.client")
CLIENT_LOG.setLevel(logging.ERROR)

LEAST_REFUSAL = 128  # MQTT 5: reason codes from here on are failures
TAKEN_OVER = 142
REFUSALS = {  # CONNACK codes that waiting does not cure
    132: "it does not speak this version of MQTT; set `protocol` to the other one",
    133: "it does not accept the client id",
    134: "wrong username or password",
    135: "not authorized: check username, password and its access list",
    138: "this client is banned",
    140: "it does not accept this way of authentication",
    157: "it wants us to use another server",
}
MAX_INCOMING = 100
NOT_SPOKEN = 132
AGAIN_S = 0.3  # a broker that is just ending closes connections, too
_told_old: set[str] = set()  # addresses of brokers without MQTT 5 that the log named


class NobodyThere(BrokerUnavailable):
    """Nothing listens at the address, or there is no way to it."""


class NoAnswer(BrokerUnavailable):
    """Something listens but says nothing in time: a frozen broker, or none of its kind."""


class NotSpoken(BrokerRefused):
    """The broker does not speak this version of MQTT."""


class ClosedEarly(BrokerUnavailable):
    """The broker closed the connection instead of answering: what it cannot read, or whom it does not know."""


class TakenOver(BrokerUnavailable):
    """Another client connected with our client id."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message from the broker, as it came."""

    topic: str
    payload: bytes
    retain: bool = False
    properties: dict[str, str] = field(default_factory=dict)  # MQTT 5 user properties
    response_topic: str | None = None
    correlation: bytes | None = None


class Link:
    """Publishes and receives while the connection lives; raises `BrokerUnavailable` when it does not."""

    def __init__(self, client: aiomqtt.Client, settings: MqttSettings, max_incoming: int = MAX_INCOMING) -> None:
        """Made by `connected`."""
        self._client = client
        self._paho = client._client
        self._settings = settings
        self._inbox: Inbox[Received] = Inbox(max_incoming)
        self._unacknowledged: dict[int, asyncio.Future[str | None]] = {}  # by message id; a text is a refusal
        self._said_s = asyncio.get_running_loop().time()
        self._watch_acknowledgements()
        self._watch_messages()
        write_soon(client)

    def _watch_acknowledgements(self) -> None:
        """Notice refused publishes, which the library takes for successes."""

        def on_publish(client: PahoClient, _userdata: object, mid: int, code: ReasonCode, _: Properties) -> None:
            hurry(client)
            acknowledged = self._unacknowledged.pop(mid, None)
            if acknowledged is not None and not acknowledged.done():
                acknowledged.set_result(str(code) if code.value >= LEAST_REFUSAL else None)

        self._paho.on_publish = on_publish

    def _watch_messages(self) -> None:
        """Put what comes into an inbox of our own: the library makes a task for each message."""

        def on_message(client: PahoClient, _userdata: object, message: MQTTMessage) -> None:
            hurry(client)
            self._inbox.put(_received(message))

        while not self._client._queue.empty():  # what came before us
            self._inbox.put(_received(self._client._queue.get_nowait()))
        self._paho.on_message = on_message
        self._client._disconnected.add_done_callback(lambda _: self._inbox.close())

    @property
    def protocol(self) -> str:
        """The version of MQTT that is spoken here."""
        return self._settings.protocol

    @property
    def alive(self) -> bool:
        """Whether the connection is not known to be lost."""
        return not self._client._disconnected.done()

    @property
    def idle_s(self) -> float:
        """How long ago we last said something."""
        return 0.0 if self._unacknowledged else asyncio.get_running_loop().time() - self._said_s

    async def publish(self, message: Message, expiry_s: int | None = None) -> None:
        """Publish and wait for the acknowledgement; `BrokerRefused` when the broker will not have it."""
        await self.acknowledged(message, self.send(message, expiry_s))

    def send(self, message: Message, expiry_s: int | None = None) -> asyncio.Future[str | None]:
        """Publish without waiting; the acknowledgement to wait for, in the order of sending, with `acknowledged`."""
        properties = _publish_properties(message, expiry_s) if self._settings.protocol == MQTT_5 else None
        with translated(self._settings):
            info = self._paho.publish(message.topic, message.payload, message.qos, message.retain, properties)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                disconnected = self._client._disconnected
                cause = disconnected.exception() if disconnected.done() else None
                raise aiomqtt.MqttCodeError(info.rc, "Could not publish message") from cause
        acknowledgement: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._unacknowledged[info.mid] = acknowledgement
        return acknowledgement

    async def acknowledged(self, message: Message, acknowledgement: asyncio.Future[str | None]) -> None:
        """Wait until the broker has it; `BrokerRefused` when it will not have it."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                refusal = await acknowledgement
        except TimeoutError:
            raise _no_answer(self._settings) from None
        self._said_s = asyncio.get_running_loop().time()
        if refusal is not None:
            raise BrokerRefused(
                f"broker {self._settings.address} refuses {message.topic} ({refusal}): "
                "allow it in the broker's access list"
            )

    async def subscribe(self, topics: Sequence[str], qos: int = 1) -> None:
        """Subscribe to all of `topics`; `BrokerRefused` names those the broker will not give."""
        if not topics:
            return
        with translated(self._settings):
            codes = await self._client.subscribe([(topic, qos) for topic in topics])
        refused = [topic for topic, code in zip(topics, codes, strict=True) if _number(code) >= LEAST_REFUSAL]
        if refused:
            raise BrokerRefused(
                f"broker {self._settings.address} refuses to subscribe us to {', '.join(refused)}: "
                "allow it in the broker's access list"
            )

    async def receive(self) -> Received:
        """The next message; `BrokerUnavailable` when the connection is lost, which ends every waiting here."""
        received = self._inbox.take() or await self._inbox.next()
        if received is None:
            with translated(self._settings):
                raise aiomqtt.MqttError("disconnected") from self._client._disconnected.exception()
        return received


def _received(message: MQTTMessage | aiomqtt.Message) -> Received:
    """A message of either library."""
    properties = {} if message.properties is None else vars(message.properties)
    return Received(
        topic=str(message.topic),
        payload=bytes(message.payload),
        retain=bool(message.retain),
        properties=dict(properties.get("UserProperty", ())),
        response_topic=properties.get("ResponseTopic"),
        correlation=properties.get("CorrelationData"),
    )


@contextlib.asynccontextmanager
async def connected(
    settings: MqttSettings,
    *,
    will: Message | None = None,
    client_id: str | None = None,
    keep_session: bool = True,
    max_incoming: int = MAX_INCOMING,
) -> AsyncIterator[Link]:
    """Connect once; on leaving, disconnect politely if the connection still lives."""
    context = await asyncio.to_thread(tls_context, settings.tls) if settings.tls is not None else None
    client, spoken = await _connect_with_either(
        settings,
        lambda spoken: _client(
            spoken,
            will=will,
            client_id=client_id or settings.client_id,
            keep_session=keep_session,
            max_incoming=max_incoming,
            context=context,
        ),
    )
    try:
        yield Link(client, spoken, max_incoming)
    finally:
        try:
            with translated(settings):
                await client.__aexit__(None, None, None)
        except BrokerUnavailable as error:
            log.debug("%s", error)  # it was lost before we could say goodbye
        finally:
            cut(client)


async def _connect_with_either(
    settings: MqttSettings, build: Callable[[MqttSettings], aiomqtt.Client]
) -> tuple[aiomqtt.Client, MqttSettings]:
    """A client that is connected, and the settings in force: with MQTT 3.1.1 if 5 is not spoken and nobody chose it.

    Some brokers of old say so, others hang up; what hangs up twice is asked the other way, and what it says to that
    counts only if it is a welcome.
    """
    try:
        return await _connect(build(settings), settings), settings
    except (NotSpoken, ClosedEarly) as error:
        if not settings.falls_back or settings.protocol != MQTT_5:
            raise
        first: NotSpoken | ClosedEarly = error
    if isinstance(first, ClosedEarly):
        await asyncio.sleep(AGAIN_S)
        with contextlib.suppress(NotSpoken, ClosedEarly):
            return await _connect(build(settings), settings), settings
    older = replace(settings, protocol=MQTT_311)
    try:
        client = await _connect(build(older), older)
    except ClosedEarly:
        raise first from None
    if settings.address not in _told_old:
        _told_old.add(settings.address)
        log.warning("broker %s does not speak MQTT 5: going on with 3.1.1", settings.address)
    return client, older


async def _connect(client: aiomqtt.Client, settings: MqttSettings) -> aiomqtt.Client:
    """One attempt; nothing of it is left open when it fails."""
    client._client.connect_timeout = settings.timeout_s
    for future in (client._connected, client._disconnected):
        future.add_done_callback(heed)
    notice_early_close(client)
    try:
        with translated(settings):
            await client.__aenter__()
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError):  # a thread may still be connecting
            asyncio.get_running_loop().call_later(2 * settings.timeout_s, cut, client)
        cut(client)
        raise
    return client


async def listens(settings: MqttSettings, timeout_s: float) -> bool:
    """Whether something accepts connections at the broker's address."""
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(settings.host, settings.port)
    except OSError:  # a TimeoutError is one too
        return False
    writer.close()
    ours, theirs = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
    return bool(ours != theirs)  # a port that nobody listens on can, by chance, reach itself


def _client(  # noqa: PLR0913  # one parameter per thing a connection differs in
    settings: MqttSettings,
    *,
    will: Message | None,
    client_id: str,
    keep_session: bool,
    max_incoming: int,
    context: ssl.SSLContext | None,
) -> aiomqtt.Client:
    """A fresh client.  MQTT 3.1.1 sessions never expire at the broker, so there we keep none."""
    five = settings.protocol == MQTT_5
    options: dict[str, object] = {"clean_session": True}
    if five:
        properties = _properties(PacketTypes.CONNECT)
        if keep_session:
            properties.SessionExpiryInterval = settings.session_expiry_s
        options = {"clean_start": not keep_session, "properties": properties}
    return aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.username,
        password=settings.password,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
        will=_will(will, settings) if will is not None else None,
        timeout=settings.timeout_s,
        keepalive=settings.keepalive_s,
        max_queued_incoming_messages=max_incoming,
        logger=CLIENT_LOG,
        tls_context=context,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # small messages, none waits for the next
        **options,  # type: ignore[arg-type]  # only the two or one names above
    )


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Certificates are always verified; `ConfigError` names the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=tls.cafile)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"broker tls cafile {tls.cafile}: {error.strerror or error}; give a PEM file") from error
    if tls.certfile is not None:
        try:
            context.load_cert_chain(tls.certfile, tls.keyfile)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"broker tls certfile {tls.certfile}, keyfile {tls.keyfile}: {error.strerror or error}; give PEM files"
            ) from error
    return context


def _will(message: Message, settings: MqttSettings) -> aiomqtt.Will:
    properties = None
    if settings.protocol == MQTT_5:
        properties = _properties(PacketTypes.WILLMESSAGE)
        properties.WillDelayInterval = settings.will_delay_s
    return aiomqtt.Will(message.topic, message.payload, message.qos, message.retain, properties)


def _publish_properties(message: Message, expiry_s: int | None) -> Properties:
    expiry_s = message.expiry_s if expiry_s is None else expiry_s
    return _built_properties(expiry_s, message.schema, message.correlation)


@lru_cache(maxsize=64)  # most messages have the same ones, and they are never changed
def _built_properties(expiry_s: int | None, schema: str | None, correlation: bytes | None) -> Properties:
    properties = _properties(PacketTypes.PUBLISH)
    if expiry_s is not None:
        properties.MessageExpiryInterval = max(1, expiry_s)
    if schema is not None:
        properties.ContentType = "application/json"
        properties.PayloadFormatIndicator = 1
        properties.UserProperty = ("schema", schema)
    if correlation is not None:
        properties.CorrelationData = correlation
    return properties


@contextlib.contextmanager
def translated(settings: MqttSettings) -> Iterator[None]:
    """The library's errors as ours, one line each."""
    try:
        yield
    except aiomqtt.MqttError as error:
        raise _translate(error, settings) from error


def _translate(error: aiomqtt.MqttError, settings: MqttSettings) -> BrokerUnavailable | BrokerRefused:
    address = settings.address
    if isinstance(error, MqttConnectError):
        return _translate_connack(error, address)
    if isinstance(error.__context__, OSError) and not isinstance(error.__context__, TimeoutError):
        return _translate_network(error.__context__, address)
    if isinstance(error, EarlyClose):
        return ClosedEarly(f"broker {address} closed the connection without a word: check username, password and port")
    if TAKEN_OVER in (_number(getattr(e, "rc", None)) for e in (error, error.__cause__)):
        return TakenOver(f"broker {address}: another client took over our client id")
    if isinstance(error, aiomqtt.MqttCodeError) or error.__cause__ is not None:
        return BrokerUnavailable(f"broker {address}: the connection was lost")
    return _no_answer(settings)


def _no_answer(settings: MqttSettings) -> NoAnswer:
    return NoAnswer(
        f"broker {settings.address} does not answer within {settings.timeout_s:g} s; is it an MQTT broker, "
        "and are username and password right?"
    )


def _translate_connack(error: MqttConnectError, address: str) -> BrokerUnavailable | BrokerRefused:
    code = _number(error.rc)
    if code == NOT_SPOKEN:
        return NotSpoken(f"broker {address} refuses us: {REFUSALS[code]}")
    if code in REFUSALS:
        return BrokerRefused(f"broker {address} refuses us: {REFUSALS[code]}")
    return BrokerUnavailable(f"broker {address} is not ready: {error}")


def _translate_network(error: OSError, address: str) -> BrokerUnavailable | BrokerRefused:
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerRefused(f"broker {address}: its certificate is not trusted ({error.verify_message}); set cafile")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return BrokerRefused(f"broker {address}: TLS failed ({error.reason}); check port and certificates")
    return NobodyThere(f"broker {address} cannot be reached: {error.strerror or error}")


def _properties(kind: int) -> Properties:
    return Properties(kind)  # type: ignore[no-untyped-call]  # the library does not annotate its constructor


def _number(code: object) -> int:
    """The number of a reason code of either protocol version; 0 when there is none."""
    if isinstance(code, ReasonCode):
        return int(code.value)
    return code if isinstance(code, int) else 0

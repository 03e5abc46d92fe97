"""Which MQTT broker, tested before it is written down: login, and whether what we say comes back."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from posturewatch.errors import BrokerRefused, BrokerUnavailable, ConfigError, MissingExtra, UsageError
from posturewatch.mqtt.embedded_broker import DEFAULT_PORT, PortInUse, check_free
from posturewatch.mqtt.link import NobodyThere, connected, listens
from posturewatch.mqtt.settings import MQTT_311, MqttSettings, TlsSettings, is_loopback
from posturewatch.publishing.topics import Topics
from posturewatch.setting_up.nearby import FIND, choose_nearby, is_search
from posturewatch.types import Message

if TYPE_CHECKING:
    from posturewatch.setting_up.draft import Answers, Draft
    from posturewatch.terminal.dialogue import Dialogue

LOCAL = "localhost"
DEFAULT_TLS_PORT = 8883
LOOK_S = 1.0
ECHO_S = 3.0
EMBEDDED, YOURS, KEEP = "embedded", "yours", "keep"
PORT_PAIRS = 20
PASSWORD_FILE = "mqtt-password"


async def choose_broker(talk: Dialogue, answers: Answers, draft: Draft) -> None:
    """Put a broker that works into the draft."""
    if answers.base_topic is not None:
        draft.broker["base_topic"] = answers.base_topic
    way = await _choose_way(talk, answers, draft)
    typed = replace(answers, broker=None)
    if way == FIND:
        found = await choose_nearby(talk, answers)
        answers = found or typed
        way = YOURS if found else await _choose_way(talk, answers, draft, searched=True)
    if way == KEEP:
        return
    if way == EMBEDDED:
        _use_embedded(talk, draft)
        return
    while True:
        settings = await _ask_address(talk, answers, draft)
        settings = await _ask_login(talk, answers, settings)
        try:
            settings = await try_out(settings)
        except (BrokerRefused, BrokerUnavailable) as error:
            if talk.unattended:
                raise
            talk.say(str(error))
            answers = replace(typed, username=None, password_file=None)
            if not await talk.confirm("try again?", default=True):
                _use_embedded(talk, draft)
                return
            continue
        version = "3.1.1" if settings.protocol == MQTT_311 else "5"
        talk.say(f"the broker {settings.address} works: logged in with MQTT {version}, wrote and read a message")
        _write(draft, settings, answers)
        return


async def _choose_way(talk: Dialogue, answers: Answers, draft: Draft, *, searched: bool = False) -> str:
    if is_search(answers.broker):
        return FIND
    if answers.broker is not None:
        return EMBEDDED if answers.broker == EMBEDDED else YOURS
    search = {} if searched else {FIND: "look for one in this network"}
    if draft.broker.get("host") or not draft.is_new:
        choices = {KEEP: "as it is configured", EMBEDDED: "one of our own on this machine", YOURS: "another one"}
        return await talk.choose("which MQTT broker?", {**choices, **search}, KEEP)
    found = await listens(MqttSettings(host="127.0.0.1", port=DEFAULT_PORT), LOOK_S)
    there = "a broker was found on this machine, port" if found else "no broker on this machine answers on port"
    if not searched:
        talk.say(f"{there} {DEFAULT_PORT} (the network was not searched)")
    has_own = importlib.util.find_spec("iotcore") is not None
    own = "one of our own, on this machine only" + ("" if has_own else " (needs: pip install 'posturewatch[broker]')")
    usual = YOURS if (found and not talk.unattended) or not has_own else EMBEDDED
    return await talk.choose("which MQTT broker?", {EMBEDDED: own, YOURS: "yours", **search}, usual)


def _use_embedded(talk: Dialogue, draft: Draft) -> None:
    """Ours, on the usual pair of ports or the next that is free."""
    if importlib.util.find_spec("iotcore") is None:
        raise MissingExtra(
            "a broker of our own needs an extra: pip install 'posturewatch[broker]'; or name yours: --broker HOST:PORT"
        )
    port = next((port for port in range(DEFAULT_PORT, DEFAULT_PORT + 2 * PORT_PAIRS, 2) if _is_free_pair(port)), None)
    if port is None:
        raise PortInUse(f"no two free ports from {DEFAULT_PORT} on: name your broker with --broker HOST:PORT")
    kept = {key: value for key, value in draft.broker.items() if key == "base_topic"}
    draft.tree["broker"] = {"embedded": True, **({} if port == DEFAULT_PORT else {"port": port}), **kept}
    draft.password = None
    talk.say(f"a broker of our own will listen on 127.0.0.1, port {port} (MQTT 5) and {port + 1} (MQTT 3.1.1)")


def _is_free_pair(port: int) -> bool:
    try:
        check_free(port)
        check_free(port + 1)
    except (PortInUse, ConfigError):
        return False
    return True


async def _ask_address(talk: Dialogue, answers: Answers, draft: Draft) -> MqttSettings:
    given = answers.broker
    while True:
        text = given or await talk.ask("its address, HOST or HOST:PORT", LOCAL, option="--broker HOST:PORT")
        host, _, port_text = text.rpartition(":") if text.count(":") == 1 or text.startswith("[") else (text, "", "")
        tls = answers.tls
        try:
            if port_text and not port_text.isdecimal():
                raise ConfigError(f"{text!r} cannot be read; write it like {LOCAL}:1883")
            if not is_loopback(host) and not tls and not answers.insecure and not talk.unattended:
                tls = await talk.confirm("it is another machine: encrypt with TLS?", default=True)
            elif not is_loopback(host) and not tls and not answers.insecure:
                raise ConfigError("that is another machine: give --tls, or --insecure for clear text")
            return MqttSettings(
                host=host.strip("[]"),
                port=int(port_text) if port_text else DEFAULT_TLS_PORT if tls else DEFAULT_PORT,
                base_topic=draft.broker.get("base_topic", "posturewatch"),
                tls=TlsSettings(answers.tls_cafile) if tls else None,
                insecure=answers.insecure or (not tls and not talk.unattended),
            )
        except ConfigError as error:
            if given:
                raise UsageError(f"--broker {given}: {error}") from None
            talk.say(str(error))


async def _ask_login(talk: Dialogue, answers: Answers, settings: MqttSettings) -> MqttSettings:
    if answers.username is not None:
        username: str | None = answers.username
    else:
        username = await talk.ask("user name there (empty: none)", "") or None
    if username is None:
        return settings
    if answers.password_file is not None:
        password = _read_password(answers)
    else:
        password = "" if talk.unattended else await talk.ask_secret("password (it is not shown)")
    return replace(settings, username=username, password=password or None)


def _read_password(answers: Answers) -> str:
    try:
        assert answers.password_file is not None  # the caller's question
        return answers.password_file.read_text("utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        raise UsageError(
            f"--password-file {answers.password_file}: no password can be read; give a file with it as its first line"
        ) from None


async def try_out(settings: MqttSettings) -> MqttSettings:
    """Log in, write, read; with MQTT 3.1.1 if 5 will not do.  What worked; raises what the broker says else."""
    try:
        await _echo(settings)
    except NobodyThere:
        raise
    except (BrokerRefused, BrokerUnavailable) as first:
        older = replace(settings, protocol=MQTT_311)
        try:
            await _echo(older)
        except (BrokerRefused, BrokerUnavailable):
            raise first from None
        return older
    return settings


async def _echo(settings: MqttSettings) -> None:
    topic, mark = Topics(settings.base_topic).bridge("setup"), secrets.token_hex(8).encode()
    client_id = f"posturewatch-setup-{secrets.token_hex(4)}"
    async with connected(settings, client_id=client_id, keep_session=False) as link:
        await link.subscribe([topic])
        await link.publish(Message(topic, mark))
        try:
            async with asyncio.timeout(ECHO_S):
                while (await link.receive()).payload != mark:
                    pass
        except TimeoutError:
            raise BrokerRefused(
                f"broker {settings.address}: what we write to {topic} does not come back: allow user "
                f"{settings.username or '(none)'} to read and write {settings.base_topic}/# in its access list"
            ) from None


def _write(draft: Draft, settings: MqttSettings, answers: Answers) -> None:
    kept = {key: value for key, value in draft.broker.items() if key in ("base_topic", "client_id")}
    table: dict[str, object] = {"host": settings.host, "port": settings.port, **kept}
    if settings.protocol == MQTT_311:
        table["protocol"] = 311
    if settings.tls is not None:
        table["tls"] = True
        if settings.tls.cafile is not None:
            table["tls_cafile"] = str(settings.tls.cafile.absolute())
    elif not is_loopback(settings.host):
        table["insecure"] = True
    draft.password = None
    if settings.username is not None:
        table["username"] = settings.username
        if answers.password_file is not None:
            table["password_file"] = str(answers.password_file.absolute())
        elif settings.password is not None:
            table["password_file"] = PASSWORD_FILE  # beside the configuration
            draft.password = settings.password
    draft.tree["broker"] = table

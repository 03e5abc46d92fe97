"""Where the MQTT broker is and how to speak to it: plain values, made by `config/`, used by `link.py`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posturewatch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MQTT_5 = "5"
MQTT_311 = "3.1.1"
PROTOCOLS = (MQTT_5, MQTT_311)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Who may be believed, and who we are; without a `cafile` the system's authorities count."""

    cafile: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """One broker.  Checked when made: a password never leaves this machine in clear text unasked."""

    host: str = "127.0.0.1"
    port: int = 1883
    protocol: str = MQTT_5
    falls_back: bool = False  # to 3.1.1 where the broker does not speak 5, since nobody chose
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsSettings | None = None
    client_id: str = "posturewatch"
    base_topic: str = "posturewatch"
    insecure: bool = False  # clear text to another machine, because the user wrote so
    keepalive_s: int = 15  # a frozen broker is noticed after twice this time
    timeout_s: float = 5.0  # for a connection or an acknowledgement
    will_delay_s: int = 5  # a quick reconnect does not flap
    session_expiry_s: int = 300  # commands sent in a short outage arrive

    def __post_init__(self) -> None:
        """Refuse what cannot work or would surprise."""
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"broker protocol {self.protocol!r}: allowed are {', '.join(PROTOCOLS)}")
        if not self.host:
            raise ConfigError("broker host is empty: name the broker's host, or use the embedded broker")
        if not 1 <= self.port <= 65535:  # noqa: PLR2004  # the range of TCP ports
            raise ConfigError(f"broker port {self.port}: allowed are 1 to 65535")
        if self.password is not None and self.username is None:
            raise ConfigError(f"broker {self.address}: a password needs a username")
        if self.tls is not None and (self.tls.certfile is None) != (self.tls.keyfile is None):
            raise ConfigError(f"broker {self.address}: certfile and keyfile are only of use together")
        if self.tls is None and not self.insecure and not is_loopback(self.host):
            raise ConfigError(
                f"broker {self.address} is another machine and would be spoken to in clear text: "
                "set up TLS, or write `insecure = true`"
            )

    @property
    def address(self) -> str:
        """Host and port, as people write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether `host` is certainly this machine; a name other than localhost is not."""
    if host.lower().rstrip(".") in ("localhost", "localhost.localdomain", "ip6-localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

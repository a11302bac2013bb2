"""What an operator calls a device: PROTOCOL@CHANNEL?key=value."""

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import unquote

from battlife.errors import InputError
from battlife.model import WireProtocol
from battlife.wire import family, protocol

LINE_KEYS: Final = frozenset(
    {
        "baud",
        "bitrate",
        "data_bitrate",
        "fd",
        "listen_only",
        "tty_baud",
        "host",
        "port",
        "serial",
        "app_name",
    }
)
"""Options of the channel; every other one belongs to the protocol."""

_GRAMMAR: Final = "write PROTOCOL@CHANNEL?key=value, e.g. jbd_uart@/dev/ttyUSB0"
_SERIAL_SCHEME: Final = re.compile(r"(socket|rfc2217|loop|spy|hwgrep|alt)://")
_WINDOWS_PORT: Final = re.compile(r"(\\\\\.\\)?COM\d+", re.IGNORECASE)
_INTERFACE: Final = re.compile(r"([a-z][a-z0-9_]*):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Channel:
    """A channel taken apart.

    Attributes
    ----------
    name : as it was given
    medium : "serial" or "can"
    interface : python-can's interface, "" for a serial line
    address : what the interface or pyserial opens
    """

    name: str
    medium: Literal["serial", "can"]
    interface: str
    address: str


@dataclass(frozen=True)
class Target:
    """A device on a channel.

    Attributes
    ----------
    protocol : name of its protocol
    channel : as :func:`parse_channel` takes it
    options : of the channel (:data:`LINE_KEYS`) and of the protocol, as texts
    """

    protocol: str
    channel: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frozen = types.MappingProxyType(dict(self.options))
        object.__setattr__(self, "options", frozen)

    def wire(self) -> WireProtocol:
        """Return the protocol of this device.

        Raises
        ------
        InputError
            No such protocol, an option it does not take, or a value that does not
            fit the option.
        """
        try:
            hints = get_type_hints(family(self.protocol))
        except KeyError:
            return protocol(self.protocol)  # which says what is known
        given: dict[str, object] = {
            key: _converted(key, text, hints.get(key, str))
            for key, text in self.options.items()
            if key not in LINE_KEYS
        }
        try:
            return protocol(self.protocol, **given)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self.protocol}: {error}",
                f"options are given as {self.protocol}@{self.channel}?key=value",
            ) from error

    def line_options(self) -> dict[str, str]:
        """Return the options of the channel."""
        return {k: v for k, v in self.options.items() if k in LINE_KEYS}


def parse_target(text: str) -> Target:
    """Take a target apart; the first "@" splits.

    Parameters
    ----------
    text : such as "leaf@slcan:/dev/ttyACM0?bitrate=500000"; "%26" in a value is "&"

    Raises
    ------
    InputError
        It does not follow the grammar, or names a channel of no known kind.
    """
    name, at, rest = text.partition("@")
    if not at or not name.strip() or not rest.strip():
        raise InputError(f"{text!r} is no target", _GRAMMAR)
    channel, _, query = rest.partition("?")
    options: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise InputError(f"{text!r}: {pair!r} is not key=value", _GRAMMAR)
        if key in options:
            raise InputError(f"{text!r} gives {key} twice", "give it once")
        options[key] = unquote(value)
    parse_channel(channel)
    return Target(name.strip(), channel, options)


def parse_channel(text: str) -> Channel:
    """Tell a serial line from a CAN bus.

    Raises
    ------
    InputError
        It is neither.
    """
    hint = "a serial port (/dev/ttyUSB0, COM3, socket://host:port) or interface:channel"
    if any(ord(c) < 32 for c in text):
        raise InputError(f"{text!r} is no channel", hint)
    if (
        text.startswith("/")
        or _SERIAL_SCHEME.match(text)
        or _WINDOWS_PORT.fullmatch(text)
    ):
        return Channel(text, "serial", "", text)
    split = _INTERFACE.fullmatch(text)
    if split is None or not split[2] or split[2].startswith("//"):
        raise InputError(f"{text!r} is no channel", hint)
    return Channel(text, "can", split[1], split[2])


def whole(options: Mapping[str, str], key: str, default: int) -> int:
    """Return a positive whole number among the options of a channel.

    Raises
    ------
    InputError
        It is not one.
    """
    text = options.get(key)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise InputError(f"{key}={text}: a whole number above 0 is expected")
    return int(text)


def flag(options: Mapping[str, str], key: str) -> bool:
    """Return a yes or no among the options of a channel.

    Raises
    ------
    InputError
        It is neither.
    """
    text = options.get(key, "0").lower()
    if text not in ("0", "1", "false", "true", "no", "yes"):
        raise InputError(f"{key}={text}: 0 or 1 is expected")
    return text in ("1", "true", "yes")


def _converted(key: str, text: str, hint: Any) -> object:
    kinds = (
        [a for a in get_args(hint) if a is not type(None)]
        if get_origin(hint) in (Union, types.UnionType)
        else [hint]
    )
    try:
        if int in kinds:
            return int(text, 0)
        if float in kinds:
            return float(text)
        if bool in kinds:
            return flag({key: text}, key)
    except ValueError as error:
        raise InputError(f"{key}={text} is not a number", "write 2 or 0x02") from error
    return Path(text) if Path in kinds else text

"""Simulated devices behind real transports, for tests, demos and a first look.

Their encoders are written from the facts about each protocol and know nothing of
`battlife.wire`, so that a mistake on one side shows on the other. Whatever they say
carries a mark (`battlife.model.frame`) and counts as simulated for good.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from battlife.errors import InputError
from battlife.simulate.faults import FAULTS, Disturbance, checked
from battlife.simulate.pack_model import PackModel, PackSpec, Truth
from battlife.simulate.serial_line import SerialLine
from battlife.simulate.serving import PtyPort, Station, TcpPort, pump

if TYPE_CHECKING:
    from battlife.simulate.serial_line import SerialDevice

__all__ = ["EMULATED", "FAULTS", "PROTOCOLS", "Running", "running", "serve"]

# Protocol: module of this package and class; its instances satisfy SerialDevice, its
# `ADDRESS` is the address that a lone device has, its `SPEC` the pack behind it.
_SERIAL: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "jbd_uart": ("jbd", "JbdUart"),
        "daly_modbus": ("daly_modbus", "DalyModbus"),
        "daly_uart": ("daly", "DalyUart"),
        "jk_pb": ("jk", "JkPb"),
        "jk_uart": ("jk", "JkUart"),
        "pace_rs232": ("pace", "PaceRs232"),
        "pylontech_modbus": ("modbus_devices", "PylontechModbus"),
        "pylontech_rs485": ("ascii_devices", "PylontechRs485"),
        "renogy_modbus": ("renogy", "RenogyModbus"),
        "seplos_v2": ("ascii_devices", "SeplosV2"),
        "seplos_v3": ("modbus_devices", "SeplosV3"),
    }
)

# Protocol: module of this package. It has `SPECS`, the PackSpec of each variant, the
# usual one first, and `station(pack, faults, seed, variant=..., **options)`, the SLCAN
# adapter with the device on its bus. Options are those `running` does not take itself.
_CAN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "daly_can": "daly_can",
        "dbc": "dbc_device",
        "kona": "kona",
        "leaf": "leaf",
        "lv_can": "lv_can",
        "meb": "meb",
        "zoe_gen1": "zoe_gen1",
        "zoe_gen2": "zoe_gen2",
    }
)

PROTOCOLS: Final = tuple(sorted((*_SERIAL, *_CAN)))
"""Names of the protocols that can be simulated."""

EMULATED: Final = ("bridge",)
"""Those whose device is its real firmware in emulation, where the tools are there."""


@dataclass(frozen=True)
class Running:
    """A simulated device that is being served.

    Attributes
    ----------
    channel : what battlife opens: "/dev/pts/5", "slcan:socket://127.0.0.1:4001"
    packs : the pack model of each address; {0: pack} on a CAN bus
    """

    channel: str
    packs: Mapping[int, PackModel]
    _station: Station

    @property
    def received(self) -> bytes:
        """Every byte the device has received."""
        return bytes(self._station.received)

    @property
    def writes(self) -> tuple[bytes, ...]:
        """The requests received that would have changed a real device."""
        return tuple(self._station.writes)

    def truth(self, address: int | None = None) -> dict[str, Truth]:
        """Return the present true values of one pack, of the first by default."""
        pack = self.packs[next(iter(self.packs)) if address is None else address]
        return pack.truth()


def serve(
    protocol: str,
    *,
    faults: Iterable[str] = (),
    seed: int = 0,
    tcp: int | None = None,
    stop: threading.Event,
    ready: Callable[[str], None],
    **options: object,
) -> None:
    """Serve a simulated device until `stop` is set.

    Parameters
    ----------
    protocol : one of :data:`PROTOCOLS` or :data:`EMULATED`
    faults : names of :data:`FAULTS`
    seed : the same seed gives the same pack, load and noise
    tcp : port on 127.0.0.1, 0 for a free one; None makes a pseudo-terminal
    stop : ends it within some ms
    ready : is told the channel as soon as it can be opened
    options : as :func:`running`

    Raises
    ------
    InputError
        A protocol or fault of that name does not exist.
    HardwareError
        The port is taken, or the system has no pseudo-terminals.
    """
    chosen = checked(faults)
    station, _, prefix = _built(protocol, chosen, seed, options)
    _serve(station, prefix, chosen, tcp, stop, ready)


@contextmanager
def running(
    protocol: str,
    *,
    faults: Iterable[str] = (),
    seed: int = 0,
    tcp: int | None = None,
    **options: object,
) -> Iterator[Running]:
    """Serve a simulated device in a thread for the length of a `with` block.

    Parameters
    ----------
    protocol, faults, seed, tcp : as :func:`serve`
    options : `addresses`, several devices on one serial line; `spec`, the PackSpec;
        `clock` and `rate` of the pack's simulated time; on a CAN bus `variant` of the
        device and `bus_load`, the fraction of the bus that other traffic fills; `dbc`,
        the path of a file
    """
    chosen = checked(faults)
    station, packs, prefix = _built(protocol, chosen, seed, options)
    stop, opened = threading.Event(), threading.Event()
    channels: list[str] = []
    failures: list[BaseException] = []

    def ready(channel: str) -> None:
        channels.append(channel)
        opened.set()

    def work() -> None:
        try:
            _serve(station, prefix, chosen, tcp, stop, ready)
        except BaseException as error:  # handed to the thread that waits
            failures.append(error)
        finally:
            opened.set()

    thread = threading.Thread(target=work, name=f"simulated {protocol}")
    thread.start()
    try:
        opened.wait()
        if failures:
            raise failures[0]
        yield Running(channels[0], packs, station)
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


def _serve(
    station: Station,
    prefix: str,
    faults: frozenset[str],
    tcp: int | None,
    stop: threading.Event,
    ready: Callable[[str], None],
) -> None:
    unplug = "unplug" in faults
    port = PtyPort(lasting=unplug) if tcp is None else TcpPort(tcp)
    with _ending(station):
        pump(
            station,
            port,
            unplug=unplug,
            stop=stop,
            ready=lambda channel: ready(prefix + channel),
        )


@contextmanager
def _ending(station: Station) -> Iterator[None]:
    """End what a station runs beside this process, if it does."""
    try:
        yield
    finally:
        close = getattr(station, "close", None)
        if close is not None:
            close()


def _built(
    protocol: str, faults: frozenset[str], seed: int, options: Mapping[str, object]
) -> tuple[Station, Mapping[int, PackModel], str]:
    own = dict(options)
    spec, addresses = own.pop("spec", None), own.pop("addresses", None)
    clock, rate = own.pop("clock", time.monotonic), own.pop("rate", 1.0)

    def pack(default: PackSpec, number: int) -> PackModel:
        assert spec is None or isinstance(spec, PackSpec)
        assert callable(clock) and isinstance(rate, float | int)
        return PackModel(
            spec or default, seed=seed + number, faults=faults, clock=clock, rate=rate
        )

    if protocol in _CAN or protocol in EMULATED:
        module = import_module(f"battlife.simulate.{_CAN.get(protocol, protocol)}")
        variant = own.pop("variant", next(iter(module.SPECS)))
        if variant not in module.SPECS:
            raise InputError(
                f"{protocol} has no variant {variant!r}",
                "known: " + ", ".join(module.SPECS),
            )
        bus_pack = pack(module.SPECS[variant], 0)
        station: Station = module.station(
            bus_pack, faults, seed, variant=variant, **own
        )
        return station, {0: bus_pack}, "slcan:" if protocol in _CAN else ""
    if protocol not in _SERIAL:
        raise InputError(
            f"{protocol!r} cannot be simulated",
            "known: " + ", ".join((*PROTOCOLS, *EMULATED)),
        )
    if own:
        raise TypeError(f"{protocol} has no option {sorted(own)[0]!r}")
    module_name, class_name = _SERIAL[protocol]
    family = getattr(import_module(f"battlife.simulate.{module_name}"), class_name)
    device: SerialDevice = family()
    if addresses is None:
        addresses = (family.ADDRESS,)
    assert isinstance(addresses, Sequence)
    packs = {int(a): pack(family.SPEC, i) for i, a in enumerate(addresses)}
    return SerialLine(device, packs, Disturbance(faults, seed)), packs, ""

"""rig.toml: the devices of a rig, its limits, and what an alarm starts."""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError

MAX_BYTES: Final = 1 << 20
MAX_DEVICES: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class RigDevice:
    """One device of a rig.

    Attributes
    ----------
    name : unique in the rig
    target : PROTOCOL@CHANNEL[?key=value&…]
    period_s : s between two questions
    unit : which of the rig's units it measures, "" where the rig holds one
    """

    name: str
    target: str
    period_s: float
    unit: str = ""


@dataclass(frozen=True)
class Limits:
    """What raises an alarm; None is not watched. Units stand in the names."""

    cell_voltage_max_v: float | None = None
    cell_voltage_min_v: float | None = None
    temperature_max_degc: float | None = None
    temperature_rate_max_k_per_min: float | None = None
    cell_spread_max_v: float | None = None
    silence_s: float | None = None
    n_cells: int | None = None

    @property
    def any(self) -> bool:
        """Whether anything is watched."""
        return any(getattr(self, f.name) is not None for f in fields(self))


@dataclass(frozen=True)
class Rig:
    """A rig as its file describes it.

    Attributes
    ----------
    name : printed in every archive
    calibration : id of the calibration record, "" if there is none
    devices : in the order of the file; of two that measure one quantity of one unit
        the first gives the column
    limits : what raises an alarm
    on_alarm : program and arguments started at each alarm, () for none
    """

    name: str
    devices: tuple[RigDevice, ...]
    calibration: str = ""
    limits: Limits = field(default_factory=Limits)
    on_alarm: tuple[str, ...] = ()


def read_rig(path: Path | str) -> Rig:
    """Read a rig.toml.

    Raises
    ------
    InputError
        No such file, no TOML, an unknown key, a wrong type or value, a repeated name.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path}: is too large for a rig", "is it a rig.toml?")
        table = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "check the path") from (
            error
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no TOML: {error}", "see docs/formats.md") from (
            error
        )
    try:
        return rig_from(table)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.hint) from error


def rig_from(table: Mapping[str, Any]) -> Rig:
    """Return the rig that a parsed rig.toml describes.

    Raises
    ------
    InputError
        An unknown key, a wrong type or value, or a repeated name.
    """
    _known("the file", table, {"rig", "device", "limits", "on_alarm"})
    head = _table(table, "rig")
    _known("[rig]", head, {"name", "calibration"})
    entries = table.get("device", [])
    if not isinstance(entries, list) or not entries:
        raise InputError("there is no [[device]]", "name at least one device")
    if len(entries) > MAX_DEVICES:
        raise InputError(f"{len(entries)} devices; at most {MAX_DEVICES}")
    devices = tuple(_device(i, entry) for i, entry in enumerate(entries, start=1))
    seen: set[str] = set()
    for device in devices:
        if device.name in seen:
            raise InputError(
                f"two devices are called {device.name!r}", "give each its own name"
            )
        seen.add(device.name)
    alarm = _table(table, "on_alarm")
    _known("[on_alarm]", alarm, {"run"})
    return Rig(
        name=_text("[rig]", head, "name"),
        calibration=_text("[rig]", head, "calibration", ""),
        devices=devices,
        limits=_limits(_table(table, "limits")),
        on_alarm=_program(alarm.get("run", [])),
    )


def unit_ids(rig: Rig, unit: str | None, units: Mapping[str, str]) -> dict[str, str]:
    """Return the id of the unit under test of each device.

    Parameters
    ----------
    rig : its devices with the same `unit` measure one unit
    unit : id of the one unit, as scanned; None if not given
    units : ids by what rig.toml calls them; what is not here keeps that name

    Returns
    -------
    By device name.

    Raises
    ------
    InputError
        No id, an empty one, one that is given twice, or one for no device.
    """
    labels = list(dict.fromkeys(d.unit for d in rig.devices))
    if unknown := sorted(set(units) - set(labels)):
        raise InputError(
            f"no device of the rig measures {unknown[0]!r}",
            f"its units are: {', '.join(filter(None, labels)) or 'one, without name'}",
        )
    if unit is not None and len(labels) > 1 and "" not in labels:
        raise InputError(
            f"one unit id for a rig that holds {len(labels)} units",
            f"name each: {', '.join(labels)}",
        )
    ids: dict[str, str] = {}
    for label in labels:
        given = units.get(label, label)
        if unit is not None and (label == "" or len(labels) == 1):
            given = unit
        ids[label] = _checked_id(given)
    names = list(ids.values())
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"the unit id {name!r} is given twice",
                "scan the code of each unit once",
            )
    return {d.name: ids[d.unit] for d in rig.devices}


def _checked_id(given: str) -> str:
    given = given.strip()
    if not given:
        raise InputError(
            "the unit under test has no id", "give it with --unit, e.g. a scanned code"
        )
    if _CONTROL.search(given) or len(given) > 200:
        raise InputError(f"{given[:40]!r} is no unit id", "was the code scanned whole?")
    return given


def _device(number: int, entry: object) -> RigDevice:
    where = f"[[device]] {number}"
    if not isinstance(entry, dict):
        raise InputError(f"{where} is no table", "write [[device]], then its keys")
    _known(where, entry, {"name", "target", "period_s", "unit"})
    name = _text(where, entry, "name")
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: {name!r} is no name", "use letters, digits, - and _"
        )
    target = _text(where, entry, "target")
    if "@" not in target:
        raise InputError(
            f"{where}: {target!r} is no target",
            "write PROTOCOL@CHANNEL, e.g. jbd_uart@/dev/ttyUSB0",
        )
    period_s = _number(where, entry, "period_s")
    if period_s is None or period_s <= 0:
        raise InputError(f"{where}: needs a period_s above 0", "e.g. period_s = 1.0")
    return RigDevice(name, target, period_s, _text(where, entry, "unit", ""))


def _limits(table: Mapping[str, Any]) -> Limits:
    where = "[limits]"
    names = [f.name for f in fields(Limits)]
    _known(where, table, set(names))
    values: dict[str, Any] = {n: _number(where, table, n) for n in names}
    for name in (
        "temperature_rate_max_k_per_min",
        "cell_spread_max_v",
        "silence_s",
        "n_cells",
    ):
        if values[name] is not None and values[name] <= 0:
            raise InputError(f"{where}: {name} must be above 0, not {values[name]:g}")
    if values["n_cells"] is not None:
        if values["n_cells"] != int(values["n_cells"]):
            raise InputError(f"{where}: n_cells must be whole")
        values["n_cells"] = int(values["n_cells"])
    low, high = values["cell_voltage_min_v"], values["cell_voltage_max_v"]
    if low is not None and high is not None and low >= high:
        raise InputError(
            f"{where}: cell_voltage_min_v {low:g} is not below "
            f"cell_voltage_max_v {high:g}"
        )
    return Limits(**values)


def _program(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise InputError(
            "[on_alarm] run is no list of texts", 'e.g. run = ["relay", "off"]'
        )
    if value and not value[0].strip():
        raise InputError("[on_alarm] run names no program")
    return tuple(value)


def _known(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(table) - known):
        raise InputError(
            f"{where}: unknown key {unknown[0]!r}", f"known: {', '.join(sorted(known))}"
        )


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise InputError(f"{name!r} is no table", f"write [{name}], then its keys")
    return value


def _text(
    where: str, table: Mapping[str, Any], name: str, default: str | None = None
) -> str:
    value = table.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise InputError(f"{where}: {name} must be a text", f'e.g. {name} = "…"')
    return value.strip()


def _number(where: str, table: Mapping[str, Any], name: str) -> float | None:
    value = table.get(name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
    ):
        raise InputError(f"{where}: {name} must be a number, not {value!r}")
    return float(value)

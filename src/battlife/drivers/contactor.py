"""The contactor of a cell bridge: what would open it, closed while wanted, opened.

The bridge decides (firmware_bridges/core/safety.c): it closes only on `arm`, and opens
by itself on every fault and on a host that falls silent. Here is the host: it asks by
name, keeps the heartbeats going, and says `disarm` at the end, whatever ends it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from types import MappingProxyType
from typing import Final

from battlife.drivers.session import Session, Snapshot
from battlife.drivers.target import Target, parse_target
from battlife.errors import (
    BattlifeError,
    HardwareError,
    InputError,
    ProtocolError,
    RigTimeoutError,
)
from battlife.model import Value
from battlife.wire._bridge_protocol import HOST_SILENT_S
from battlife.wire.bridge import ARM, DISARM, LIMITS, Bridge

READY_S: Final = 6.0
"""An Arduino whose port was opened starts its bootloader first (2 s), then measures for
half a second before it may be armed; as long again for a slow line."""
FOLLOW_S: Final = 0.5
"""A contactor opens within 25 to 75 ms; the bridge itself calls it welded at 150 ms."""
PERIOD_S: Final = 1.0
SILENT_S: Final = 1.0
"""For so long answers may be missing or damaged: a disturbed line opens nothing that
the bridge itself keeps closed."""
SLICE_S: Final = 0.05
"""How soon `stop` is seen."""


@dataclass(frozen=True)
class Judged:
    """What the bridge says of its contactor.

    Attributes
    ----------
    state : "starting", "ready", "closed" or "tripped"
    closed : what the auxiliary contact says; None: not told
    fault_codes : latched
    limits : beyond which it opens, as read back; names end in their unit
    refusal : why it refuses its calibration, "none" if it does not
    calibration : CRC of its calibration record, in hex
    """

    state: str
    closed: bool | None
    fault_codes: tuple[str, ...]
    limits: Mapping[str, float]
    refusal: str
    calibration: str


@dataclass(frozen=True)
class Opened:
    """How a closed contactor came to be open.

    Attributes
    ----------
    by_bridge : it opened by itself: `fault_codes` says why
    fault_codes : latched
    """

    by_bridge: bool
    fault_codes: tuple[str, ...] = ()


def bridge_target(target: str | Target, *writes: str) -> Target:
    """Return the target of a cell bridge.

    Parameters
    ----------
    target : as :func:`battlife.drivers.target.parse_target` takes it, or its result
    writes : names of requests that are to be sent; "arm" and "disarm" are known

    Raises
    ------
    InputError
        It is another device, or a request of another name.
    """
    parsed = parse_target(target) if isinstance(target, str) else target
    if not isinstance(parsed.wire(), Bridge):
        raise InputError(
            f"{parsed.protocol} has no contactor that battlife moves",
            "only our own firmware has: bridge@CHANNEL",
        )
    known = (ARM.name, DISARM.name)
    for name in writes:
        if name not in known:
            raise InputError(
                f"{name!r} is no request of the contactor; nothing was sent",
                f"name one: {' or '.join(known)}",
            )
    return parsed


def judged(session: Session, *, wait_s: float = READY_S) -> Judged:
    """Return what a bridge says of its contactor, once it has started.

    Raises
    ------
    HardwareError
        It does not answer, or has not told who it is and measured within `wait_s`.
    """
    began = session.clock()
    error: HardwareError | None = None
    while session.clock() - began < wait_s:
        try:
            found = _judged(session.read())
        except HardwareError as missed:
            error = missed  # it may still be in its bootloader
            continue
        if found is not None and found.state != "starting":
            return found
    raise error or HardwareError(
        f"{session.target.channel}: the bridge is not ready after {wait_s:g} s",
        "it measures something that is no valid scan: battlife read shows what",
    )


def refuse_unless_ready(target: Target, found: Judged) -> None:
    """Raise what keeps a bridge from being armed, if something does.

    Raises
    ------
    HardwareError
        A fault is latched, its calibration refused, or the contactor closed already.
    """
    if found.state == "tripped":
        raise _latched(target, found)
    if found.closed:
        raise _still_closed(target, "before it was armed")


def held_closed(
    target: str | Target,
    *,
    approve: Callable[[Judged], bool],
    stop: Event,
    duration_s: float | None = None,
    period_s: float = PERIOD_S,
    on_reading: Callable[[Snapshot], None] | None = None,
) -> Opened | None:
    """Close the contactor of a bridge, and keep it so until it is to open.

    Calling it is the request: it sends `arm` once, heartbeats while it lasts, and
    `disarm` at the end, also where the caller or the line fails.

    Parameters
    ----------
    target : of a bridge
    approve : is shown the limits read back from the bridge; False: nothing is sent
    stop : opens the contactor when set
    duration_s : s after which to open it, None for never
    period_s : s between two readings
    on_reading : is given each of them

    Returns
    -------
    How it opened; None if it was not approved and never closed.

    Raises
    ------
    InputError
        It is no bridge.
    ProtocolError
        The bridge refuses; the hint says what it needs.
    HardwareError
        A fault is latched, the line went away (the bridge then opens by itself within
        1 s), or the contactor is still closed after `disarm`.
    """
    parsed = bridge_target(target)
    with Session(parsed, wake=True, writes=[ARM.name, DISARM.name]) as session:
        found = judged(session)
        refuse_unless_ready(parsed, found)
        if stop.is_set() or not approve(found):
            return None
        _await_hearing(session)
        try:
            session.ask(ARM)
            opened = _kept(session, stop, duration_s, period_s, on_reading)
        except BaseException as error:
            told = _is_told_to_open(session)
            if not told and isinstance(error, HardwareError):
                raise _left_closed(error) from error
            raise
        if opened is not None:
            return opened
        return _opened(session)


def opened(target: str | Target) -> Opened:
    """Tell a bridge to open its contactor, and see that it is open.

    Raises
    ------
    InputError
        It is no bridge.
    HardwareError
        It does not answer, or the contactor is still closed.
    """
    with Session(bridge_target(target), writes=[DISARM.name]) as session:
        return _opened(session)


def _judged(snapshot: Snapshot) -> Judged | None:
    values = snapshot.values
    if "bridge_state" not in values or "bridge_refusal" not in values:
        return None
    closed = values.get("contactors_closed")
    numbers = {
        name: value
        for name in LIMITS
        if isinstance(value := values.get(name), float | int)
    }
    return Judged(
        str(values["bridge_state"]),
        closed if isinstance(closed, bool) else None,
        _codes(values),
        MappingProxyType(numbers),
        str(values["bridge_refusal"]),
        str(values.get("bridge_calibration", "")),
    )


def _codes(values: Mapping[str, Value]) -> tuple[str, ...]:
    codes = values.get("fault_codes", ())
    return tuple(map(str, codes)) if isinstance(codes, tuple) else ()


def _await_hearing(session: Session) -> None:
    """Wait until the bridge has heard two heartbeats in sequence, or long enough."""
    began_s = session.clock()
    while session.clock() - began_s < SILENT_S:
        if session.read().values.get("bridge_host_alive") is True:
            return
        session.rest(SLICE_S)


def _kept(
    session: Session,
    stop: Event,
    duration_s: float | None,
    period_s: float,
    on_reading: Callable[[Snapshot], None] | None,
) -> Opened | None:
    """Keep it closed; return how the bridge opened it, None if it is to be opened."""
    clock = session.clock
    began_s = due_s = clock()
    end_s = math.inf if duration_s is None else began_s + duration_s
    missed_s: float | None = None
    while True:
        try:
            snapshot = session.read()
        except (RigTimeoutError, ProtocolError):
            # Since the first miss, not since the last answer: a reading is rare.
            missed_s = clock() if missed_s is None else missed_s
            if clock() - missed_s > SILENT_S:
                raise
            if not stop.is_set() and clock() < end_s:
                session.rest(SLICE_S)
                continue
        else:
            missed_s = None
            if on_reading is not None:
                on_reading(snapshot)
            if snapshot.values.get("bridge_state") != "closed":
                return Opened(True, _codes(snapshot.values))
        due_s += period_s
        while (left_s := min(due_s, end_s) - clock()) > 0 and not stop.is_set():
            session.rest(min(left_s, SLICE_S))
        if stop.is_set() or clock() >= end_s:
            return None


def _is_told_to_open(session: Session) -> bool:
    try:
        session.ask(DISARM)
    except BattlifeError:
        return False
    return True


def _left_closed(error: HardwareError) -> HardwareError:
    return HardwareError(
        f"{error.message}; its contactor may be closed",
        f"without heartbeats the bridge opens it by itself within "
        f"{HOST_SILENT_S:g} s: see that it did",
    )


def _opened(session: Session) -> Opened:
    """Say `disarm` and see that it is open; a disturbed line is asked again."""
    began_s = session.clock()
    asked = False
    while True:
        try:
            if not asked:
                session.ask(DISARM)
                asked, began_s = True, session.clock()
            values = session.read().values
        except (RigTimeoutError, ProtocolError) as error:
            if session.clock() - began_s > SILENT_S:
                raise _left_closed(error) from error
            session.rest(SLICE_S)
            continue
        if values.get("contactors_closed") is False:
            return Opened(False, _codes(values))
        if session.clock() - began_s > FOLLOW_S:
            raise _still_closed(session.target, "after `disarm`")


def _latched(target: Target, found: Judged) -> HardwareError:
    why = ", ".join(found.fault_codes) or "a fault"
    if found.refusal != "none":
        hint = f"its calibration is refused ({found.refusal}): write another"
    else:
        hint = (
            "mend it, then: battlife clear-faults "
            f"{target.protocol}@{target.channel} --allow-write clear"
        )
    return HardwareError(f"{target.channel}: latched: {why}; nothing was armed", hint)


def _still_closed(target: Target, when: str) -> HardwareError:
    return HardwareError(
        f"{target.channel}: the contactor is CLOSED {when}: it may be welded",
        "disconnect the pack by hand, then check contactor and auxiliary contact",
    )

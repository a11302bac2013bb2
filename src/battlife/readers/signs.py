"""Which way the current flows: proven by states, counters or the voltage."""

from typing import TYPE_CHECKING

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Severity
from battlife.readers.columns import direction

if TYPE_CHECKING:
    import polars as pl

RULES = ("auto", "charge_positive", "discharge_positive", "by_state")
"""What a mapping may say of the sign of the current."""


def state_directions(texts: "pl.Series") -> Column:
    """Return 1, -1 or 0 for each row of a column of state names."""
    unique = texts.unique()
    words = {text: float(direction(text)) for text in unique.to_list()}
    if len(words) > 10_000:
        raise InputError(f"{len(words)} different states: not a state column")
    return texts.replace_strict(words, default=0.0).to_numpy()


def factors(
    rule: str,
    columns: dict[str, Column],
    states: Column | None,
) -> tuple[Column | float, list[Notice]]:
    """Return what the current is multiplied by so that charging is positive.

    Parameters
    ----------
    rule : one of :data:`RULES`
    columns : columns read so far, current and voltage among them
    states : (n,) 1 charge, -1 discharge, 0 other; None if the file has none

    Returns
    -------
    scalar or (n,) factor, and what was found
    """
    current = columns["current_a"]
    if rule == "discharge_positive":
        return -1.0, []
    unsigned = not (current < 0).any()
    if states is not None and unsigned and rule != "charge_positive":
        by_state = np.where(states < 0, -1.0, 1.0)
        if ((states < 0) & (current > 0)).any():
            return by_state, [
                Notice(
                    "sign_from_state",
                    "the file gives current without sign; the state column gives it",
                    Severity.INFO,
                )
            ]
    if rule == "by_state":
        if states is None and unsigned and (current > 0).any():
            return 1.0, [
                Notice(
                    "direction_unknown",
                    "current has no sign and there is no state column",
                    Severity.SUSPECT,
                )
            ]
        return 1.0, []
    if rule == "charge_positive":
        return 1.0, []
    evidence = _evidence(current, columns, states)
    if evidence is None:
        if not (current != 0).any():
            return 1.0, []
        return 1.0, [
            Notice(
                "sign_assumed",
                "nothing in the file shows which sign of current charges; positive "
                "is taken as charging",
                Severity.SUSPECT,
            )
        ]
    sign, proof = evidence
    if sign > 0:
        return 1.0, []
    return -1.0, [
        Notice("sign_turned", f"the file counts discharge positive, by its {proof}")
    ]


def _evidence(
    current: Column, columns: dict[str, Column], states: Column | None
) -> tuple[int, str] | None:
    """Return 1 if positive charges, -1 if it discharges, with what proves it."""
    if states is not None:
        product = states * np.sign(current)
        agree, against = int((product > 0).sum()), int((product < 0).sum())
        if max(agree, against) >= 3 and min(agree, against) < 0.1 * max(agree, against):
            return (1 if agree > against else -1), "state column"
    counters = _by_counters(current, columns)
    if counters is not None:
        return counters, "charge and discharge counters"
    response = _by_response(current, columns.get("voltage_v"))
    return None if response is None else (response, "response of the voltage")


def _by_counters(current: Column, columns: dict[str, Column]) -> int | None:
    agree = against = 0.0
    for name, sign in (("charge_capacity_ah", 1.0), ("discharge_capacity_ah", -1.0)):
        if name not in columns:
            continue
        step = np.diff(columns[name])
        rising = np.isfinite(step) & (step > 0)
        # A counter is advanced by the current before its record or at it.
        flow = sign * np.where(current[1:] != 0, current[1:], current[:-1])
        agree += float(step[rising & (flow > 0)].sum())
        against += float(step[rising & (flow < 0)].sum())
    total = agree + against
    if total <= 0 or min(agree, against) > 0.1 * total:
        return None
    return 1 if agree > against else -1


def _by_response(current: Column, voltage: Column | None) -> int | None:
    """Tell the sign by Ohm's law: charging current raises the terminal voltage."""
    if voltage is None or current.size < 3:
        return None
    peak = float(np.nanmax(np.abs(current), initial=0.0))
    if peak <= 0:
        return None
    di, dv = np.diff(current), np.diff(voltage)
    with np.errstate(invalid="ignore"):
        events = (np.abs(di) > 0.2 * peak) & (np.abs(dv) > 0) & np.isfinite(dv)
        flowing = (np.abs(current[1:]) > 0.2 * peak) & np.isfinite(dv)
        flowing &= np.sign(current[1:]) == np.sign(current[:-1])
    product = np.sign(di[events] * dv[events])
    jump = float(product.mean()) if product.size else 0.0
    # The voltage of a cell rises over a charge and falls over a discharge, whatever
    # it does from record to record.
    moves = np.sign(current[1:][flowing]) * dv[flowing]
    net, path = float(moves.sum()), float(np.abs(moves).sum())
    trend = net / path if path > 0 else 0.0
    if product.size >= 3 and abs(jump) >= 0.8 and jump * trend > -0.5:
        return 1 if jump > 0 else -1
    if abs(net) >= 0.2 and abs(trend) >= 0.7 and jump * trend >= 0:
        return 1 if net > 0 else -1
    if min(abs(jump), abs(trend)) >= 0.8 and jump * trend > 0 and abs(net) > 0.02:
        return 1 if net > 0 else -1
    return None

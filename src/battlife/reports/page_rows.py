"""What the page of grades says about one unit."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from battlife.model import Route
from battlife.reports.wording import (
    clauses,
    clearance_text,
    code_text,
    deciding,
    escaped,
    interval,
    label,
    number,
    plain,
    sentence,
)

_ORDER: Final = [str(route) for route in Route]
_OUTCOMES: Final = ("not met", "open", "missing", "met")


def text_of(value: Any) -> str:
    """Return a value as text, "" for None."""
    return "" if value is None else str(value)


def graded_row(result: Mapping[str, Any]) -> str:
    """Return the cells of a graded unit."""
    unit = text_of(result.get("unit"))
    route = text_of(result.get("route"))
    known = route in _ORDER
    simulated = '<span class="s">simulated</span>' if result.get("simulated") else ""
    rank = _ORDER.index(route) if known else len(_ORDER)
    ten = next(
        (
            d
            for d in result.get("dcir") or ()
            if isinstance(d, Mapping) and d.get("pulse_s") == 10.0
        ),
        None,
    )
    away = _interval(result.get("soh_capacity_at_temperature"), 100.0)
    refused = [str(code) for code in result.get("soh_refused") or ()]
    capacity_note = f"{away} % away from reference temperature" if away else ""
    capacity_note = capacity_note or _note(refused, "energy", keep=False)
    return (
        f'<th scope="row" data-k="{escaped(unit)}"><bdi>{escaped(unit)}</bdi></th>'
        f'<td data-k="{rank}"><span class="b{" " + route if known else ""}">'
        f"{escaped(route)}</span>{simulated}</td>"
        f"{_measured(result.get('soh_capacity'), 100.0, capacity_note)}"
        f"{_measured(result.get('soh_energy'), 100.0, _note(refused, 'energy'))}"
        f"{_measured(result.get('discharge_capacity_ah'), 1.0)}"
        f"{_measured(ten, 1000.0)}"
        f'<td class="w">{escaped(sentence(result))}</td>{_record(result)}'
    )


def passed_row(result: Mapping[str, Any]) -> str:
    """Return the cells of a line that has no grade."""
    paths = _paths(result)
    name = text_of(result.get("unit")) or ", ".join(PurePath(p).name for p in paths)
    error = result.get("error")
    hint = text_of(error.get("hint")) if isinstance(error, Mapping) else ""
    return (
        f'<th scope="row"><bdi>{escaped(name or "–")}</bdi>'
        f'<span class="s">{escaped("; ".join(paths))}</span></th>'
        f"<td>{escaped(text_of(result.get('status')))}</td>"
        f'<td class="w">{escaped(sentence(result))}'
        f'<span class="s">{escaped(hint)}</span></td>'
    )


def details(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return what opens below a row, above and below its drawing.

    The deciding reason comes first, then what is missing for clearance.
    """
    reasons = [r for r in result.get("reasons") or () if isinstance(r, Mapping)]
    if not (reasons or result.get("history") or result.get("archive")):
        return "", ""
    route = text_of(result.get("route"))
    first = deciding(reasons, route)
    parts = []
    if first:
        items = dict.fromkeys(c for r in first for c in clauses(_message(r)))
        told = "".join(f"<li>{escaped(item)}</li>" for item in items)
        parts.append(f"<h3>{escaped(route)} because</h3><ul>{told}</ul>")
    clearance = result.get("clearance")
    missing = clearance.get("missing") if isinstance(clearance, Mapping) else None
    if missing:
        words = clearance_text([str(m) for m in missing])
        parts.append(
            "<h3>Still missing before anyone may charge, transport or install it</h3>"
            f"<p>{escaped(words)}</p>"
        )
    above, parts = "".join(parts), []
    others = [r for r in reasons if not any(r is f for f in first)]
    if others:
        parts.append(_rules(others))
    parts.append(_facts(result))
    return above, "".join(parts)


def _facts(result: Mapping[str, Any]) -> str:
    lines: list[tuple[str, str]] = []
    for entry in result.get("dcir") or ():
        if isinstance(entry, Mapping):
            text = f"{_interval(entry, 1000.0) or '–'} mΩ"
            pulse = number(entry.get("pulse_s"))
            name = "Resistance" if pulse is None else f"{pulse:g} s resistance"
            lines.append((name, text))
    nominal = result.get("nominal_ah")
    if nominal is not None:
        source = text_of(result.get("nominal_source")) or "source unknown"
        lines.append(("Rated capacity", f"{nominal} Ah ({source})"))
    if result.get("reported_soh") is not None:
        lines.append(("SOH the unit's BMS claims", text_of(result["reported_soh"])))
    if result.get("sensor"):
        lines.append(("Sensor uncertainty", text_of(result["sensor"])))
    lines += [("Remark", text_of(w)) for w in result.get("warnings") or ()]
    absent = result.get("not_applicable")
    if isinstance(absent, Mapping):
        lines += [
            (f"Not estimated: {label(str(n))}", text_of(why))
            for n, why in absent.items()
        ]
    methods = [
        f"{m.get('name')} {m.get('version')}"
        for m in result.get("methods") or ()
        if isinstance(m, Mapping)
    ]
    if methods:
        lines.append(("Methods", ", ".join(methods)))
    policy = result.get("policy")
    if isinstance(policy, Mapping):
        text = f"{policy.get('name')} {policy.get('version')}, sha256 "
        lines.append(("Policy", text + text_of(policy.get("sha256"))))
    lines += [
        ("Source", f"{s.get('path')}, sha256 {s.get('sha256')}")
        for s in result.get("sources") or ()
        if isinstance(s, Mapping)
    ]
    if result.get("archive"):
        lines.append(("Archive", text_of(result["archive"])))
    for title, key in (("Operator", "operator"), ("Software", "software")):
        if result.get(key):
            lines.append((title, text_of(result[key])))
    rows = "".join(
        f'<tr><th scope="row">{escaped(n)}</th><td>{escaped(t)}</td></tr>'
        for n, t in lines
    )
    return f"<h3>Record</h3><table><tbody>{rows}</tbody></table>" if rows else ""


def _record(result: Mapping[str, Any]) -> str:
    when = text_of(result.get("measured_utc") or result.get("measured_local"))
    zone = " UTC" if when.endswith("+00:00") else ""
    day = when[:16].replace("T", " ") + zone if when else "date unknown"
    paths = _paths(result)
    names = ", ".join(PurePath(p).name for p in paths)
    archive = text_of(result.get("archive"))
    return (
        f'<td class="t" data-k="{escaped(when)}"><span class="s">{escaped(day)}</span>'
        f'<span class="s" title="{escaped("; ".join(paths))}">{escaped(names)}</span>'
        f'<span class="s" title="{escaped(archive)}">'
        f"{escaped(PurePath(archive).name)}</span></td>"
    )


def _paths(result: Mapping[str, Any]) -> list[str]:
    sources = result.get("sources") or ()
    return [text_of(s.get("path")) for s in sources if isinstance(s, Mapping)]


def _outcome(reason: Mapping[str, Any]) -> str:
    if reason.get("straddles"):
        return "open"
    word = text_of(reason.get("outcome")).replace("_", " ")
    return word if word in _OUTCOMES else "missing"


def _rules(reasons: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of rules; those that came out alike for one reason share a row."""
    alike: dict[tuple[str, str], dict[str, None]] = {}
    # Stable: within an outcome the order is the one in which rules were looked at.
    for reason in sorted(reasons, key=lambda r: _OUTCOMES.index(_outcome(r))):
        rules = alike.setdefault((_outcome(reason), _message(reason)), {})
        rules[text_of(reason.get("rule"))] = None
    rows = []
    for (outcome, message), rules in alike.items():
        kind = ' class="not_met"' if outcome == "not met" else ""
        rows.append(
            f"<tr><td{kind}>{outcome}</td><td>{escaped(message)}</td>"
            f'<td class="dim">{escaped(", ".join(rules))}</td></tr>'
        )
    return (
        "<h3>Every other rule looked at</h3><table><thead><tr>"
        '<th scope="col">Outcome</th><th scope="col">What was found</th>'
        '<th scope="col">Rules</th></tr></thead><tbody>'
        f"{''.join(rows)}</tbody></table>"
    )


def _message(reason: Mapping[str, Any]) -> str:
    return plain(text_of(reason.get("message")) or text_of(reason.get("rule")))


def _note(codes: Sequence[str], word: str, keep: bool = True) -> str:
    """Return the codes that speak of energy, or those that do not, in words."""
    return ", ".join(code_text(c) for c in codes if (word in c) is keep)


def _measured(entry: Any, scale: float, absent: str = "") -> str:
    text = _interval(entry, scale)
    if not text:
        note = f'<span class="s">{escaped(absent)}</span>' if absent else ""
        return f'<td class="n" data-k="">–{note}</td>'
    note = "" if "±" in text else '<span class="s">uncertainty unknown</span>'
    return f'<td class="n" data-k="{float(entry["value"])!r}">{text}{note}</td>'


def _interval(entry: Any, scale: float) -> str:
    """Return a measured object as text, "" if it is missing."""
    if not isinstance(entry, Mapping):
        return ""
    return interval(entry.get("value"), entry.get("uncertainty"), scale)

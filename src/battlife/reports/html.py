"""One self-contained page of grades: no network, no fonts, no foreign scripts."""

import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError
from battlife.grading import CLEARANCE_TEXT
from battlife.model import Route
from battlife.reports.capacity_svg import capacity_svg

PLOT_BYTES: Final = 14_000_000
"""Share of all plots in a page, so that one of 2,000 units stays below 20 MB."""

POINT_BYTES: Final = 200
"""Upper estimate of one point with its bar and title."""

_COLUMNS: Final = (
    "Unit",
    "Route",
    "SOH capacity / %",
    "SOH energy / %",
    "Capacity / Ah",
    "Measured",
    "Status",
)

_STYLE: Final = """
:root{color-scheme:light dark;--fg:#1d232a;--bg:#fff;--soft:#eef2f5;--line:#c9d2da;
--mark:#1b5e8c;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--fg:#e3e8ec;--bg:#14181c;--soft:#20272e;
--line:#3b454f;--mark:#7ab8e0;--bad:#ff8a80}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);
margin:1.5rem auto;max-width:76rem;padding:0 1rem}
.warn{border-left:4px solid var(--bad);padding:.4rem .8rem;background:var(--soft)}
.sum{display:flex;flex-wrap:wrap;gap:.6rem;padding:0;list-style:none}
.sum li{background:var(--soft);padding:.4rem .8rem;border-radius:.3rem}
input{font:inherit;padding:.3rem .5rem;width:20rem;max-width:100%}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid var(--line);
vertical-align:top}
th button{font:inherit;font-weight:600;background:none;border:0;color:inherit;padding:0;
cursor:pointer;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
details{margin:.2rem 0}.r{font-size:13px}
.not_met{color:var(--bad)}
svg{max-width:100%;height:auto}svg text{fill:var(--fg);font:11px system-ui,sans-serif}
svg .a{stroke:var(--line);fill:none}svg .u{stroke:var(--mark);opacity:.45}
svg .p{fill:var(--mark)}svg .x{stroke:var(--bad);stroke-width:1.5}
@media print{input{display:none}body{max-width:none;margin:0}tr{break-inside:avoid}}
"""

# Plots wait in <template> elements, which a browser does not render until asked.
_SCRIPT: Final = """
const body=document.querySelector('tbody');
const rows=()=>[...body.rows];
document.querySelectorAll('th button').forEach((b,i)=>{let up=true;b.onclick=()=>{
const key=r=>r.cells[i].dataset.k;
const num=r=>key(r)===''?-Infinity:Number(key(r));
const numeric=rows().every(r=>key(r)===''||!isNaN(key(r)));
const s=rows().sort((a,c)=>numeric?num(a)-num(c):key(a).localeCompare(key(c)));
if(!up)s.reverse();
document.querySelectorAll('th').forEach(t=>t.removeAttribute('aria-sort'));
b.parentNode.setAttribute('aria-sort',up?'ascending':'descending');
up=!up;s.forEach(r=>body.append(r));}});
document.getElementById('f').oninput=e=>{const q=e.target.value.toLowerCase();
let n=0;rows().forEach(r=>{const on=[...r.cells].slice(0,7).some(
c=>c.firstChild&&c.innerText.toLowerCase().includes(q));r.hidden=!on;n+=on;});
document.getElementById('c').textContent=n+' shown';};
const fill=d=>{const t=d.querySelector('template');
if(t){t.replaceWith(t.content.cloneNode(true));}};
body.addEventListener('toggle',e=>{if(e.target.open)fill(e.target);},true);
"""


def write_page(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the page; it appears whole or not at all.

    Parameters
    ----------
    results : objects of ``battlife grade --json``, each with an optional ``history``:
        a list of cycle, discharge_capacity_ah, uncertainty (k = 1), status
    path : file to write

    Raises
    ------
    InputError
        The file cannot be written.
    """
    content = page(results).encode("utf-8", errors="replace")
    partial = None
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}",
            "choose another folder",
        ) from error
    finally:
        if partial is not None and os.path.exists(partial):
            os.unlink(partial)


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the page as text; every value from outside is escaped."""
    counts = Counter(_word(r.get("route") or r.get("status")) for r in results)
    order = [str(route) for route in Route]
    names = [n for n in order if n in counts]
    names += sorted(set(counts) - set(order))
    summary = "".join(f"<li><b>{counts[n]}</b> {escape(n)}</li>" for n in names)
    head = "".join(f"<th><button>{escape(c)}</button></th>" for c in _COLUMNS)
    share = PLOT_BYTES // (POINT_BYTES * max(len(results), 1))
    points = max(20, min(400, share))
    rows = "".join(_row(r, points) for r in results)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>battlife grades</title><style>{_STYLE}</style></head><body>"
        f'<h1>Battery grades</h1><p class="warn">{escape(CLEARANCE_TEXT)}.</p>'
        f'<ul class="sum"><li><b>{len(results)}</b> in total</li>{summary}</ul>'
        '<p><input id="f" type="search" placeholder="Filter: unit, route, status" '
        'aria-label="Filter"> <span id="c"></span></p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<script>{_SCRIPT}</script></body></html>\n"
    )


def _word(value: Any) -> str:
    return "" if value is None else str(value)


def _row(result: Mapping[str, Any], points: int) -> str:
    route = _word(result.get("route"))
    if result.get("simulated"):
        route += " (simulated)"
    unit = _text(_word(result.get("unit")), _details(result, points))
    return (
        f"<tr>{unit}{_text(route)}"
        f"{_measured(result.get('soh_capacity'), 100.0, 1)}"
        f"{_measured(result.get('soh_energy'), 100.0, 1)}"
        f"{_measured(result.get('discharge_capacity_ah'), 1.0, 4)}"
        f"{_text(_word(result.get('measured_utc')))}"
        f"{_text(_word(result.get('status')))}</tr>"
    )


def _text(text: str, more: str = "") -> str:
    return f'<td data-k="{escape(text)}">{escape(text)}{more}</td>'


def _measured(entry: Any, scale: float, digits: int) -> str:
    value = entry.get("value") if isinstance(entry, Mapping) else None
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return '<td class="n" data-k="">–</td>'
    text = f"{scale * value:.{digits}f}"
    uncertainty = entry.get("uncertainty")
    title = "uncertainty unknown"
    if isinstance(uncertainty, (int, float)) and math.isfinite(uncertainty):
        text += f" ± {scale * uncertainty:.{digits}f}"
        title = "± one standard uncertainty (k = 1)"
    return f'<td class="n" data-k="{value!r}" title="{title}">{text}</td>'


def _details(result: Mapping[str, Any], points: int) -> str:
    parts = []
    error = result.get("error")
    if isinstance(error, Mapping):
        text = f"{error.get('type')}: {error.get('message')} {error.get('hint') or ''}"
        parts.append(f'<p class="r not_met">{escape(text)}</p>')
    items = "".join(_reason(r) for r in result.get("reasons") or ())
    clearance = result.get("clearance")
    if isinstance(clearance, Mapping):
        missing = ", ".join(map(str, clearance.get("missing") or ()))
        items += f"<li>Missing for clearance: {escape(missing)}</li>"
    policy = result.get("policy")
    if isinstance(policy, Mapping):
        items += f"<li>Policy: {escape(json.dumps(dict(policy), default=str))}</li>"
    for source in result.get("sources") or ():
        text = f"{source.get('path')} sha256 {source.get('sha256')}"
        items += f"<li>Source: {escape(text)}</li>"
    if items:
        parts.append(
            f'<details class="r"><summary>reasons</summary><template><ul>{items}</ul>'
            "</template></details>"
        )
    history = result.get("history")
    if history:
        parts.append(
            '<details class="r"><summary>capacity over cycles</summary><template>'
            f"{capacity_svg(history, points)}</template></details>"
        )
    return "".join(parts)


def _reason(reason: Mapping[str, Any]) -> str:
    outcome = _word(reason.get("outcome"))
    kind = "not_met" if outcome == "not_met" else "other"
    words = [_word(reason.get("rule")), outcome.replace("_", " ")]
    text = ": ".join(w for w in words if w)
    message = _word(reason.get("message"))
    return f'<li class="{kind}">{escape(text)}. {escape(message)}</li>'

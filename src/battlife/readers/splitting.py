"""One table, one trace per unit that it holds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from battlife.errors import InputError
from battlife.model import Notice, Trace
from battlife.readers import tables
from battlife.readers.assemble import assemble
from battlife.readers.choosing import Given, choose

MAX_UNITS: Final = 4096


def split_units(table: tables.Table, given: Given) -> Sequence[Trace]:
    """Return one trace per value of the column that names the unit, if there is one."""
    choice = choose(table, given).get("unit_id")
    if choice is None:
        return [assemble(table, given)]
    texts = table.texts(choice.name)
    ids = [i for i in texts.unique(maintain_order=True).to_list() if i]
    if len(ids) > MAX_UNITS:
        raise InputError(f"{len(ids)} values of {choice.name!r}: not one per unit")
    if not ids:
        return [assemble(table, given)]
    if len(ids) == 1:
        return [assemble(table, replace(given, unit_id=ids[0]))]
    unnamed = int((texts == "").sum())
    several = Notice(
        "several_units", f"{choice.name} names {len(ids)} units: one trace each"
    )
    traces = []
    for unit in ids:
        trace = assemble(table.rows(texts == unit), replace(given, unit_id=unit))
        provenance = trace.provenance.with_notices(several)
        traces.append(replace(trace, provenance=provenance))
    if unnamed:
        lost = Notice("unreadable_rows", f"{unnamed} rows name no unit: left out")
        traces[0] = replace(
            traces[0], provenance=traces[0].provenance.with_notices(lost)
        )
    return traces


def preamble_facts(preamble: Sequence[str], facts: Mapping[str, str]) -> dict[str, str]:
    """Return the facts of a preamble: the text after a key, up to a tab or line end."""
    found: dict[str, str] = {}
    for key, before in facts.items():
        for line in preamble:
            position = line.find(before)
            alone = (
                before.endswith(":")
                or line[position - 1 : position] in ("", "\t")
                or line[position + len(before) :].startswith(":")
            )
            if position < 0 or not alone:
                continue
            value = line[position + len(before) :].strip(' \t:=,;"')
            value = re.split(r"\t|\s{3,}|\s\w+:(?=\s)", value, maxsplit=1)[0].strip()
            if value.endswith(":"):
                continue  # another key that begins with this one
            if value:
                found[key] = value[:200]
            break
    return found


def with_units(names: Sequence[str], units: Sequence[str]) -> tuple[str, ...]:
    """Return column names with the units of the row below them."""
    padded = [*units, *[""] * len(names)]
    return tuple(
        f"{name} [{unit.strip('[]() ')}]" if unit.strip("[]() ") else name
        for name, unit in zip(names, padded, strict=False)
    )

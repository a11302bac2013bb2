"""``battlife grade``: everything from log to route."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battlife import errors
from battlife.cli._options import (
    DbcOption,
    FormatOption,
    MapOption,
    MappingOption,
    ModelOption,
    NominalOption,
    OperatorOption,
    PeriodOption,
    ProtocolOption,
    UnitOption,
    UnitsOption,
    decoding_of,
    model_of,
)
from battlife.cli._output import (
    JsonOption,
    Output,
    QuietOption,
    printable,
    quantity_text,
    usage,
)

if TYPE_CHECKING:
    from battlife.model.learned import Model

NAME = "grade"
TABLE_SUFFIXES = (".csv", ".xlsx", ".parquet", ".html")
PLAIN_WIDTH = 120
"""Columns of the table where stdout is a file or a pipe."""


class Embed(StrEnum):
    """What an archive keeps of the original."""

    ALL = "all"
    NONE = "none"


def command(
    paths: Annotated[
        list[Path], typer.Argument(help="Logs, archives, or folders of them.")
    ],
    units: UnitsOption = None,
    unit: UnitOption = None,
    nominal_ah: NominalOption = None,
    operator: OperatorOption = "",
    policy: Annotated[
        Path | None, typer.Option("--policy", help="policy.toml; default: shipped.")
    ] = None,
    model: ModelOption = None,
    archives: Annotated[
        Path, typer.Option("--archives", help="Folder for the archives.")
    ] = Path("battlife-archives"),
    embed: Annotated[
        Embed, typer.Option("--embed", help="Keep the original bytes, or their hash.")
    ] = Embed.ALL,
    reason: Annotated[
        str, typer.Option("--reason", help="Why this evaluation is made.")
    ] = "grade",
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes to grade with.")
    ] = 1,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Table: .csv, .xlsx, .parquet, .html.")
    ] = None,
    format_name: FormatOption = None,
    mapping: MappingOption = None,
    protocol: ProtocolOption = None,
    dbc: DbcOption = None,
    dbc_map: MapOption = None,
    period: PeriodOption = 1.0,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Grade every unit in the logs; archive, sign and summarise.

    A run that is repeated computes only what changed. Sources are never written to.
    A route is not a clearance.
    """
    from battlife.pipeline.sources import LoadOptions, check_format

    out = Output(json_lines, quiet)
    if out_file is not None and out_file.suffix.lower() not in TABLE_SUFFIXES:
        raise typer.BadParameter(
            f"{out_file}: end the name in one of {', '.join(TABLE_SUFFIXES)}"
        )
    with usage():
        check_format(format_name)
        decoding = decoding_of(protocol, dbc, period, dbc_map=dbc_map)
    load = LoadOptions(
        format=format_name,
        mapping=mapping,
        units_file=units,
        unit=unit,
        nominal_ah=nominal_ah,
        decoding=decoding,
    )
    rows = run(
        out,
        paths,
        load,
        policy=policy,
        archives=archives,
        operator=operator,
        reason=reason,
        embed=embed is Embed.ALL,
        workers=workers,
        model=model_of(model),
    )
    if out_file is not None:
        write_rows(rows, out_file)
        out.note(f"table: {out_file}")
    return out.exit_code


def run(
    out: Output,
    paths: list[Path],
    load: Any,
    *,
    policy: Path | None,
    archives: Path,
    operator: str,
    reason: str,
    embed: bool = True,
    workers: int = 1,
    model: "Model | None" = None,
) -> list[dict[str, Any]]:
    """Grade, print line by line, and return the rows with their history."""
    from battlife.archive.keys import load_or_create_key
    from battlife.grading import load_policy
    from battlife.pipeline.finding import find
    from battlife.pipeline.grading import GradeOptions
    from battlife.pipeline.running import passed_row, run_jobs

    key = load_or_create_key()
    if not key.persistent:
        out.note(
            "warning: no folder for keys is writable; these archives are signed with a "
            "key that lives for this run only. Set BATTLIFE_HOME to a folder you keep."
        )
    options = GradeOptions(
        load=load,
        policy=load_policy(policy),
        archives=archives,
        key=key,
        operator=operator,
        reason=reason,
        embed=embed,
        model=model,
    )
    with _looking(out):
        found = find(paths, load)
    rows: list[dict[str, Any]] = []
    batches = itertools.chain(
        ([passed_row(p)] for p in found.passed),
        _with_progress(out, run_jobs(found.jobs, options, workers), len(found.jobs)),
    )
    try:
        for row in itertools.chain.from_iterable(batches):
            out.row({k: v for k, v in row.items() if k != "history"})
            rows.append(row)
            if row["status"] in ("error", "refused"):
                failed = getattr(errors, row["error"]["type"])
                out.exit_code = out.exit_code or failed.exit_code
    finally:
        if not out.json_lines:
            _summary(out, rows)
    return rows


def write_rows(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the rows of a run as a table or a page, by the ending of `path`."""
    if path.suffix.lower() == ".html":
        from battlife.reports.html import write_page

        write_page(rows, path)
    else:
        from battlife.reports.tables import write_table

        write_table([flat(r) for r in rows], path)


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a grade row with one plain value per column."""
    out: dict[str, Any] = {
        "unit": row["unit"],
        "status": row["status"],
        "route": row["route"],
    }
    for name in ("soh_capacity", "soh_energy", "discharge_capacity_ah"):
        found = row[name] or {}
        out[name] = found.get("value")
        out[f"{name}_uncertainty"] = found.get("uncertainty")
    for entry in row["dcir"]:
        out[f"dcir_{entry['pulse_s']:g}s_ohm"] = entry["value"]
    out |= {
        "nominal_ah": row["nominal_ah"],
        "nominal_source": row["nominal_source"],
        "cleared": row["clearance"]["cleared"],
        "clearance_missing": ", ".join(row["clearance"]["missing"]),
        "reasons": "; ".join(
            f"{r['rule']}={r['outcome']}" for r in row["reasons"] if r["route"]
        ),
        "warnings": "; ".join(row["warnings"]),
        "policy": f"{row['policy']['name']} {row['policy']['version']}"
        if row["policy"]
        else None,
        "operator": row["operator"],
        "measured_utc": row["measured_utc"],
        "simulated": row["simulated"],
        "software": row["software"],
        "archive": row["archive"],
        "source": "; ".join(s["path"] for s in row["sources"]),
        "source_sha256": "; ".join(s["sha256"] for s in row["sources"]),
        "error": row["error"]["message"] if row["error"] else None,
    }
    return out


@contextmanager
def _looking(out: Output) -> Iterator[None]:
    """Show that logs are being found, hashed and recognised."""
    if not out.interactive:
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("looking through the logs"):
        yield


def _with_progress(
    out: Output, batches: Iterator[list[dict[str, Any]]], total: int
) -> Iterator[list[dict[str, Any]]]:
    if not out.interactive:
        yield from batches
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("grading"),
        BarColumn(),
        MofNCompleteColumn(),
        Remaining(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        for batch in batches:
            name = str(batch[0]["unit"] or "") if batch else ""
            progress.update(task, advance=1, description=name)
            yield batch


def _summary(out: Output, rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from battlife.grading import CLEARANCE_TEXT
    from battlife.pipeline.grade_rows import totals
    from battlife.reports.wording import sentence

    table = Table(box=box.SIMPLE)
    for title in ("unit", "route", "SOH (capacity)", "capacity", "10 s resistance"):
        table.add_column(title)
    for row in rows:
        if row["status"] in ("skipped", "duplicate"):
            continue
        ten = next((d for d in row["dcir"] if d["pulse_s"] == 10.0), None)
        table.add_row(
            Text(printable(str(row["unit"] or row["sources"][0]["path"]))),
            Text(str(row["route"] or row["status"].upper())),
            Text(quantity_text(row["soh_capacity"])),
            Text(quantity_text(row["discharge_capacity_ah"])),
            Text(quantity_text(ten)),
        )
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    console.print(table)
    for row in rows:
        if row["status"] not in ("skipped", "duplicate"):
            name = row["unit"] or row["sources"][0]["path"]
            out.text(f"{name}: {row['route'] or row['status']}: {sentence(row)}")
            if row["route"] == "RETEST":
                _show_needs(out, row)
            if row["error"] and row["error"]["hint"]:
                out.text(f"  hint: {row['error']['hint']}")
    out.text()
    found = totals(rows)
    if not rows:
        out.note("no logs were found")
        return
    by_route = ", ".join(f"{n} {r}" for r, n in found["by_route"].items()) or "none"
    by_status = ", ".join(f"{n} {s}" for s, n in found["by_status"].items())
    out.text(f"{found['lines']} line(s): {by_status}. Routes: {by_route}.")
    if found["resumed"]:
        out.text(f"{found['resumed']} unchanged since an earlier run.")
    for row in rows:
        if row["status"] in ("skipped", "duplicate") and row["error"]:
            out.note(f"{row['status']}: {row['error']['message']}")
    if found["by_route"]:
        out.text(CLEARANCE_TEXT)


def _show_needs(out: Output, row: Mapping[str, Any]) -> None:
    """Print what would settle it, one line for each thing that is lacking."""
    for reason in row["reasons"]:
        if reason["route"] == "RETEST":
            for clause in reason["message"].split("; "):
                out.text(f"  - {clause.removeprefix('no route can be decided: ')}")

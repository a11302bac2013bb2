"""``battlife clear-faults``: keep the fault codes of a battery, then clear them."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from battlife.cli._output import JsonOption, Output, QuietOption, usage
from battlife.cli.read import TargetArgument, WakeOption

if TYPE_CHECKING:
    from battlife.drivers.session import Snapshot

NAME = "clear-faults"


def command(
    target: TargetArgument,
    allow_write: Annotated[
        str,
        typer.Option(
            "--allow-write",
            help="Name of the request that may be sent; without it nothing is sent.",
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where the codes are kept first; default: a file "
            "with the time in its name, here.",
        ),
    ] = None,
    wake: WakeOption = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask again on a terminal.")
    ] = False,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Read and keep the fault codes of a device, then clear them.

    Clearing destroys evidence: the codes are written to a file and flushed to the
    disk before anything is sent.
    """
    from battlife.cli._readings import raw_text, values_row
    from battlife.drivers.session import Session
    from battlife.drivers.target import parse_target
    from battlife.errors import HardwareError, InputError, ProtocolError

    out = Output(json_lines, quiet)
    with usage():
        parsed = parse_target(target)
        protocol = parsed.wire()
        requests = [r for r in protocol.clear_faults if r.name == allow_write]
        if not protocol.clear_faults:
            raise InputError(f"{parsed.protocol} has no request that clears faults")
        if not requests:
            known = ", ".join(r.name for r in protocol.clear_faults)
            raise InputError(
                f"--allow-write {allow_write or '(not given)'}: nothing was sent",
                f"name what may be sent: --allow-write {known}",
            )
    with Session(parsed, wake=wake, writes=[r.name for r in requests]) as session:
        before = session.read()
        codes = _codes(before)
        if codes is None:
            raise HardwareError(
                f"{parsed.protocol} on {parsed.channel} did not tell its fault codes; "
                "nothing was cleared",
                "what is not kept first is never cleared",
            )
        kept = output or Path(f"fault-codes-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")
        facts = {
            "schema": 1,
            "target": target,
            "read_utc": datetime.now(UTC).isoformat(),
            "fault_codes": list(codes),
            "values": values_row(before.values),
            "raw": [raw_text(r.raw, r.identifier) for r in before.readings],
        }
        _keep(kept, facts)
        out.row({"schema": 1, "stage": "before", "kept": str(kept), **_row(codes)})
        out.text(f"before: {', '.join(codes) or 'no fault codes'} (kept in {kept})")
        if sys.stdin.isatty() and not yes and not json_lines:
            typer.confirm(f"Send {allow_write} to {target}?", abort=True)
        answer = session.ask(requests[0])
        if not any(r.message == requests[0].name for r in answer.readings):
            raise ProtocolError(
                f"{target}: {allow_write} was sent and not confirmed",
                f"the codes are kept in {kept}; read the device again",
            )
        after = _codes(session.read())
    out.row({"schema": 1, "stage": "after", "kept": str(kept), **_row(after or ())})
    out.text(f"after:  {', '.join(after or ()) or 'no fault codes'}")
    return 0


def _row(codes: tuple[str, ...]) -> dict[str, object]:
    return {"fault_codes": list(codes)}


def _codes(snapshot: "Snapshot") -> tuple[str, ...] | None:
    codes = snapshot.values.get("fault_codes")
    return tuple(map(str, codes)) if isinstance(codes, tuple) else None


def _keep(path: Path, facts: dict[str, object]) -> None:
    import os

    from battlife.errors import InputError

    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(facts, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror}; nothing was sent",
            "choose another name with -o",
        ) from error

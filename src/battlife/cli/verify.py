"""``battlife verify``: check archives, offline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from battlife.cli._output import JsonOption, Output, QuietOption

NAME = "verify"


def command(
    files: Annotated[list[Path], typer.Argument(help="Archives, or folders of them.")],
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust", help="Public key file or fingerprint to require; repeatable."
        ),
    ] = None,
    recompute: Annotated[
        bool, typer.Option(help="Also repeat the estimates and the grade.")
    ] = True,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check archives offline: integrity, signer, and the result computed again.

    Altered archives exit 3; with --trust, so does a signer who is not trusted.
    """
    from battlife.errors import ArchiveError, BattlifeError
    from battlife.pipeline.verifying import (
        expand,
        ledger_findings,
        ledger_row,
        trusted_from,
        verify,
    )

    out = Output(json_lines, quiet)
    trusted = trusted_from(trust or [])
    archives = expand(files)
    by_folder = {
        folder: ledger_findings(folder, trusted)
        for folder in dict.fromkeys([p.parent for p in archives] + _folders(files))
    }
    for path in archives:
        try:
            listed = by_folder[path.parent]
            row = verify(path, trusted, recompute=recompute, listed=listed)
        except BattlifeError as error:
            out.failure(str(path), error)
            continue
        out.row(row)
        if _is_bad(row, strict=bool(trust)):
            out.exit_code = out.exit_code or ArchiveError.exit_code
        signer = row["signer"]
        who = signer["name"] or signer["fingerprint"] or "nobody"
        out.text(
            f"{path}: {row['integrity']}; signed by {who} ({signer['trust']}); "
            f"recomputed: {row['recompute']}"
        )
        _show(out, row)
    for folder, findings in by_folder.items():
        shown = {p.name for p in archives if p.parent == folder}
        about = ledger_row(folder, findings, shown)
        if about is not None:
            out.row(about)
            out.text(f"{about['source']}: {about['integrity']}")
            _show(out, about)
            if about["integrity"] == "altered":
                out.exit_code = out.exit_code or ArchiveError.exit_code
    return out.exit_code


def _folders(files: list[Path]) -> list[Path]:
    return [f for f in files if f.is_dir()]


def _is_bad(row: Mapping[str, Any], *, strict: bool) -> bool:
    if row["integrity"] == "altered":
        return True
    if any(f["severity"] == "suspect" for f in row["findings"]):
        return bool(row["integrity"] != "unsealed")
    return bool(strict and row["signer"]["trust"] != "trusted")


def _show(out: Output, row: Mapping[str, Any]) -> None:
    for finding in row["findings"]:
        out.text(f"  {finding['code']}: {finding['message']}")

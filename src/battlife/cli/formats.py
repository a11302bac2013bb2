"""``battlife formats``: what is known here."""

from battlife.cli._output import JsonOption, Output, QuietOption

NAME = "formats"


def command(json_lines: JsonOption = False, quiet: QuietOption = False) -> int:
    """List the readers and estimators known here, with what each is for."""
    from battlife.pipeline.rows import SCHEMA
    from battlife.pipeline.sources import known

    out = Output(json_lines, quiet)
    kinds: dict[str, list[tuple[str, str]]] = {}
    for kind, name, description in known():
        out.row(
            {"schema": SCHEMA, "kind": kind, "name": name, "description": description}
        )
        kinds.setdefault(kind, []).append((name, description))
    for kind, entries in kinds.items():
        out.text(f"{kind}s")
        width = max(len(name) for name, _ in entries)
        for name, description in entries:
            out.text(f"  {name:<{width}}  {description}")
    return out.exit_code

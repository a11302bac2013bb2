"""Policy files: what is read, and what is refused with a name."""

import hashlib
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.grading import load_policy, parse_policy
from battlife.grading.floor import FLOORS
from battlife.model import Route

DEFAULT = (files("battlife.grading") / "default_policy.toml").read_bytes()


def edited(old: str, new: str) -> bytes:
    text = DEFAULT.decode()
    assert old in text
    return text.replace(old, new, 1).encode()


def test_default_policy_is_identified_by_its_bytes() -> None:
    policy = load_policy()
    assert policy.name == "battlife-default"
    assert policy.sha256 == hashlib.sha256(DEFAULT).hexdigest()
    assert policy.toml.encode() == DEFAULT
    assert policy.coverage_factor == 2.0


def test_default_instrument_is_the_iso_tolerance_over_root_three() -> None:
    sensor = load_policy().instrument.sensor
    assert sensor["voltage_relative"] == pytest.approx(0.005 / 3**0.5, rel=2e-3)
    assert sensor["current_relative"] == pytest.approx(0.005 / 3**0.5, rel=2e-3)
    assert sensor["temperature_degc"] == pytest.approx(1 / 3**0.5, rel=2e-3)
    assert sensor["voltage_v"] == pytest.approx(0.001 / 3**0.5, rel=2e-3)
    assert sensor["current_a"] == 0.0


def test_every_threshold_of_the_default_has_a_source() -> None:
    for route in tomllib.loads(DEFAULT.decode())["route"]:
        for rule in route["rule"]:
            assert len(rule["source"]) > 20


def test_default_policy_reaches_every_route_that_it_may() -> None:
    reached = {way.route for way in load_policy().routes}
    assert reached == {
        Route.REUSE,
        Route.REMANUFACTURE,
        Route.REPURPOSE,
        Route.RECYCLE,
    }


def test_a_policy_is_loaded_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(edited('version = "1.0.0"', 'version = "ours"'))
    assert load_policy(path).version == "ours"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.toml"):
        load_policy(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("schema = 1", "schema = 2", "schema 2"),
        ("schema = 1", "schema = true", "schema True"),
        ("schema = 1", "schema = 1\nschemer = 2", "'schemer'"),
        ('name = "battlife-default"', "", "missing key 'name'"),
        ('name = "battlife-default"', 'name = ""', "name must be a text"),
        ('route = "REUSE"', 'route = "RESUE"', "unknown route 'RESUE'"),
        ('route = "REUSE"', 'route = "QUARANTINE"', "unknown route 'QUARANTINE'"),
        ('op = ">="', 'op = "=>"', "unknown op '=>'"),
        ('unit = "1"', 'unit = "%"', "unit '%'"),
        ('quantity = "soh_capacity"', 'quantity = "soh_capactiy"', "soh_capactiy"),
        ("limit = 0.80", "limit = nan", "limit must be a number"),
        ("limit = 0.80", "limit = true", "limit must be a number"),
        ("limit = 0.80", 'limit = "0.8"', "limit must be a number"),
        ("at_reference = true", "at_reference = 1", "at_reference must be true"),
        ("at_reference = true", "at_referrence = true", "'at_referrence'"),
        ("coverage_factor = 2.0", "coverage_factor = 0.5", "coverage_factor"),
        ("coverage_factor = 2.0", "coverage_factor = inf", "coverage_factor"),
        ("current_a = 0.0", "current_a = -1.0", "current_a"),
        ("current_a = 0.0", "", "missing key 'current_a'"),
        ('traceability = "clearance"', 'traceability = "no"', "traceability 'no'"),
        (
            'code = "reuse_capacity_and_resistance"',
            'code = "reuse_capacity_and_energy"',
            "used twice",
        ),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, named: str) -> None:
    with pytest.raises(InputError, match=named.replace("(", r"\(")):
        parse_policy(edited(old, new), "policy.toml")


def test_routes_are_listed_best_first() -> None:
    with pytest.raises(InputError, match="out of order"):
        parse_policy(edited('route = "REUSE"', 'route = "REMANUFACTURE"'), "p")


def test_recycling_needs_two_kinds_of_evidence() -> None:
    text = DEFAULT.decode()
    head, tail = text.split('code = "recycle_voltage_drop"')
    one = head + 'code = "recycle_voltage_drop"\nrequired = false' + tail
    with pytest.raises(InputError, match="one kind of evidence"):
        parse_policy(one.encode(), "p")
    same_kind = text.replace(
        'quantity = "voltage_drop_1c"\nop = ">="',
        'quantity = "soh_energy"\nop = "<="',
    )
    assert same_kind != text
    with pytest.raises(InputError, match="one kind of evidence"):
        parse_policy(same_kind.encode(), "p")


def test_a_route_without_required_evidence_is_refused() -> None:
    text = DEFAULT.decode().replace("at_reference = true", "required = false", 2)
    with pytest.raises(InputError, match="no rule is required"):
        parse_policy(text.encode(), "p")


@pytest.mark.parametrize(
    ("quantity", "looser", "tighter"),
    [
        ("temperature_max_degc", 81.0, 55.0),
        ("cell_voltage_max_v", 4.31, 4.2),
        ("cell_voltage_resting_min_v", 1.4, 2.8),
        ("isolation_ohm_per_v", 99.0, 500.0),
        ("cell_spread_resting_max_v", 0.6, 0.1),
    ],
)
def test_the_hold_floor_is_only_tightened(
    quantity: str, looser: float, tighter: float
) -> None:
    def policy(limit: float) -> bytes:
        table = f'\n[hold.{quantity}]\nlimit = {limit}\nsource = "ours"\n'
        return DEFAULT + table.encode()

    with pytest.raises(InputError, match="loosen"):
        parse_policy(policy(looser), "p")
    assert parse_policy(policy(tighter), "p").hold[quantity].limit == tighter


def test_an_unknown_floor_is_named() -> None:
    with pytest.raises(InputError, match="'temprature'"):
        parse_policy(DEFAULT + b'\n[hold.temprature]\nlimit=1\nsource="x"\n', "p")
    assert "cell_count" in FLOORS
    with pytest.raises(InputError, match="cell_count"):
        parse_policy(DEFAULT + b'\n[hold.cell_count]\nlimit=1\nsource="x"\n', "p")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"schema = ", b"x = " + b"[" * 5000, b"a" * (1 << 21)],
)
def test_foreign_bytes_give_an_input_error(content: bytes) -> None:
    with pytest.raises(InputError):
        parse_policy(content, "p")


@pytest.mark.parametrize("key", ["instrument", "route", "hold"])
def test_a_table_of_the_wrong_kind_is_refused(key: str) -> None:
    head = DEFAULT.decode().split("[instrument]")[0]
    parts = {
        "instrument": 'instrument = 3\nroute = [{route = "REUSE"}]\n',
        "route": "route = 3\n" + "[instrument]" + _instrument(),
        "hold": "hold = 3\nroute = []\n" + "[instrument]" + _instrument(),
    }
    with pytest.raises(InputError):
        parse_policy((head + parts[key]).encode(), "p")


def _instrument() -> str:
    return DEFAULT.decode().split("[instrument]")[1].split("# A policy may")[0]

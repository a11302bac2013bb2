"""A bus by its DBC file: against cantools' encoder and arithmetic by hand."""

import math
import random
from pathlib import Path

import pytest

from battlife import wire
from battlife.errors import InputError
from battlife.model import (
    SIMULATED_DATA,
    SIMULATED_ID,
    Frame,
    Reading,
    Rejected,
    WireProtocol,
)
from battlife.readers import open_frames
from battlife.wire.dbc import Dbc
from support import DATASETS, shared

KONA = DATASETS / "bus_logs" / "kona"

PACK = """VERSION ""

NS_ :

BS_:

BU_: BMS HOST

BO_ 768 PackState: 8 BMS
 SG_ Voltage : 0|16@1+ (0.01,0) [0|500] "V" HOST
 SG_ Current : 16|16@1- (0.1,0) [-300|300] "A" HOST
 SG_ Soc : 32|8@1+ (0.5,0) [0|100] "%" HOST
 SG_ Relay : 40|1@1+ (1,0) [0|1] "" HOST
 SG_ Mode : 41|3@1+ (1,0) [0|7] "" HOST

BO_ 769 Cells: 8 BMS
 SG_ Block M : 0|8@1+ (1,0) [0|1] "" HOST
 SG_ Cell1 m0 : 8|16@1+ (0.001,0) [0|5] "V" HOST
 SG_ Cell2 m0 : 24|16@1+ (0.001,0) [0|5] "V" HOST
 SG_ Cell3 m1 : 8|16@1+ (0.001,0) [0|5] "V" HOST
 SG_ Cell4 m1 : 24|16@1+ (0.001,0) [0|5] "V" HOST

BO_ 770 Faults: 2 BMS
 SG_ Isolation : 0|1@1+ (1,0) [0|1] "" HOST
 SG_ Fan : 1|1@1+ (1,0) [0|1] "" HOST

BO_ 2566844672 Extended: 2 BMS
 SG_ Signed : 7|16@0- (1,-5) [0|0] "" HOST
"""

MAP = """
voltage_v = "PackState.Voltage"
current_a = {signal = "PackState.Current", scale = -1}
soc = {signal = "PackState.Soc", scale = 0.01, missing = [127.5]}
contactors_closed = "PackState.Relay"
charge_enabled = {signal = "PackState.Mode", equals = 3}
cell_voltage_v = ["Cells.Cell1", "Cells.Cell2", "Cells.Cell3", "Cells.Cell4"]
[fault_codes]
signals = ["Faults.Isolation", "Faults.Fan"]
critical = ["Faults.Isolation"]
"""


@pytest.fixture
def dbc(tmp_path: Path) -> Path:
    path = tmp_path / "pack.dbc"
    path.write_text(PACK)
    return path


def written(folder: Path, text: str, name: str = "map.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def say(
    device: WireProtocol, identifier: int, data: str, extended: bool = False
) -> Reading | Rejected:
    frame = Frame(1.5, "can0", "rx", bytes.fromhex(data), identifier, extended)
    (item,) = device.decoder().feed(frame)
    return item


def test_signals_keep_the_unit_of_the_file(dbc: Path) -> None:
    # 0x9088 = 37000 -> 370.00 V; 0xFF9C = -100 -> -10.0 A; 0x97 = 151 -> 75.5 %.
    found = say(wire.protocol("dbc", dbc=dbc), 0x300, "8890 9CFF 97 07 0000")
    assert isinstance(found, Reading)
    assert found.message == "PackState"
    assert dict(found.values) == {
        "dbc_PackState_Voltage": pytest.approx(370.0),
        "dbc_PackState_Current": pytest.approx(-10.0),
        "dbc_PackState_Soc": 75.5,
        "dbc_PackState_Relay": 1.0,
        "dbc_PackState_Mode": 3.0,
    }
    assert found.raw == bytes.fromhex("88909CFF97070000")
    assert (found.identifier, found.time_s, found.device) == (0x300, 1.5, "")
    assert found.notices == ()


def test_motorola_signed_and_29_bits(dbc: Path) -> None:
    device = wire.protocol("dbc", dbc=dbc)
    # 2566844672 is 0x18FEF100 with bit 31; big-endian FFFE = -2, offset -5.
    found = say(device, 0x18FEF100, "FFFE", extended=True)
    assert isinstance(found, Reading)
    assert found.values["dbc_Extended_Signed"] == -7
    frame = Frame(0.0, "", "rx", b"\xff\xfe", 0x18FEF100 & 0x7FF)
    assert list(device.decoder().feed(frame)) == []


def test_multiplexed_signals(dbc: Path) -> None:
    device = wire.protocol("dbc", dbc=dbc)
    first = say(device, 0x301, "00 740E 750E 000000")
    second = say(device, 0x301, "01 760E 770E 000000")
    assert isinstance(first, Reading) and isinstance(second, Reading)
    assert first.values["dbc_Cells_Cell1"] == pytest.approx(3.700)
    assert "dbc_Cells_Cell3" not in first.values
    assert second.values["dbc_Cells_Cell4"] == pytest.approx(3.703)
    wrong = say(device, 0x301, "07 760E 770E 000000")
    assert isinstance(wrong, Rejected)
    assert wrong.message == "Cells" and wrong.error.hint


def test_out_of_range_is_said_and_kept(dbc: Path) -> None:
    found = say(wire.protocol("dbc", dbc=dbc), 0x300, "FFFF 0000 FF 00 0000")
    assert isinstance(found, Reading)
    assert found.values["dbc_PackState_Voltage"] == pytest.approx(655.35)
    assert [n.code for n in found.notices] == ["out_of_range"] * 2
    assert "655.35" in found.notices[0].message


def test_frames_of_another_length(dbc: Path) -> None:
    device = wire.protocol("dbc", dbc=dbc)
    short = say(device, 0x300, "8890 9C")
    assert isinstance(short, Reading)
    assert dict(short.values) == {"dbc_PackState_Voltage": pytest.approx(370.0)}
    assert [n.code for n in short.notices] == ["other_length"]
    assert isinstance(say(device, 0x300, "88"), Rejected)
    longer = say(device, 0x302, "0100 55")
    assert isinstance(longer, Reading)
    assert longer.values["dbc_Faults_Isolation"] == 1
    assert [n.code for n in longer.notices] == ["other_length"]


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0.0, "", "rx", bytes(8), 0x123),
        Frame(0.0, "", "rx", bytes(8), None),
        Frame(0.0, "", "rx", b"", 0x300, kind="remote"),
        Frame(0.0, "", "rx", bytes(8), 0x300, kind="error"),
        Frame(0.0, "", "rx", SIMULATED_DATA, SIMULATED_ID),
    ],
)
def test_other_frames_say_nothing(frame: Frame, dbc: Path) -> None:
    assert list(wire.protocol("dbc", dbc=dbc).decoder().feed(frame)) == []


def test_against_the_encoder_of_cantools(dbc: Path) -> None:
    from cantools.database import load_file

    database = load_file(dbc)
    device = wire.protocol("dbc", dbc=dbc)
    rng = random.Random(1)
    for _ in range(200):
        raw = {
            "Voltage": rng.randrange(65536) * 0.01,
            "Current": rng.randrange(-32768, 32768) * 0.1,
            "Soc": rng.randrange(256) * 0.5,
            "Relay": rng.randrange(2),
            "Mode": rng.randrange(8),
        }
        data = database.encode_message("PackState", raw, strict=False)
        found = say(device, 0x300, data.hex())
        assert isinstance(found, Reading)
        for name, value in raw.items():
            assert found.values[f"dbc_PackState_{name}"] == pytest.approx(
                value, abs=1e-9
            )


def test_every_message_of_a_real_file_as_cantools_decodes_it() -> None:
    from cantools.database import load_string

    text = (KONA / "pcan.dbc").read_text()
    database = load_string("BS_:\nBU_:\n" + text[text.index("BO_ ") :], "dbc")
    device = Dbc(KONA / "pcan.dbc")
    rng = random.Random(3)
    compared = 0
    for message in database.messages:
        for _ in range(5):
            data = rng.randbytes(message.length)
            try:
                expected = message.decode(data, decode_choices=False)
            except Exception:
                # Overlapping signals are beyond cantools' decoding.
                continue
            found = say(device, message.frame_id, data.hex(), message.is_extended_frame)
            assert isinstance(found, Reading)
            names = {f"dbc_{message.name}_{name}": v for name, v in expected.items()}
            assert dict(found.values) == names
            compared += len(names)
    assert compared > 2000


def test_multiplexers_in_multiplexers(tmp_path: Path) -> None:
    text = PACK + (
        "BO_ 773 Nested: 4 BMS\n"
        ' SG_ Outer M : 0|8@1+ (1,0) [0|0] "" HOST\n'
        ' SG_ Inner m1M : 8|8@1+ (1,0) [0|0] "" HOST\n'
        ' SG_ Deep m2 : 16|16@1- (1,0) [0|0] "" HOST\n'
        ' SG_ Other m3 : 16|8@1+ (1,0) [0|0] "" HOST\n'
        "SG_MUL_VAL_ 773 Inner Outer 1-1;\n"
        "SG_MUL_VAL_ 773 Deep Inner 2-2;\n"
        "SG_MUL_VAL_ 773 Other Inner 3-5;\n"
    )
    device = Dbc(written(tmp_path, text, "x.dbc"))
    deep = say(device, 773, "01 02 FEFF")
    assert isinstance(deep, Reading)
    assert dict(deep.values) == {
        "dbc_Nested_Outer": 1,
        "dbc_Nested_Inner": 2,
        "dbc_Nested_Deep": -2,
    }
    other = say(device, 773, "01 04 FEFF")
    assert isinstance(other, Reading)
    assert other.values["dbc_Nested_Other"] == 254
    assert isinstance(say(device, 773, "01 06 FEFF"), Rejected)
    assert isinstance(say(device, 773, "02 02 FEFF"), Rejected)


def test_floating_point_signals(tmp_path: Path) -> None:
    text = PACK + (
        "BO_ 774 Floats: 8 BMS\n"
        ' SG_ A : 0|32@1- (2,1) [0|10] "" HOST\n'
        ' SG_ B : 39|32@0- (1,0) [0|0] "" HOST\n'
        "SIG_VALTYPE_ 774 A : 1;\nSIG_VALTYPE_ 774 B : 1;\n"
    )
    device = Dbc(written(tmp_path, text, "x.dbc"))
    # IEEE 754: 1.5 is 3FC00000, not a number 7FC00000.
    found = say(device, 774, "0000C03F 3FC00000")
    assert isinstance(found, Reading)
    assert dict(found.values) == {"dbc_Floats_A": 4.0, "dbc_Floats_B": 1.5}
    none = say(device, 774, "0000C07F 3FC00000")
    assert isinstance(none, Reading)
    assert math.isnan(float(str(none.values["dbc_Floats_A"])))
    assert none.notices == ()


def test_a_map_names_the_values(dbc: Path, tmp_path: Path) -> None:
    device = Dbc(dbc, written(tmp_path, MAP))
    state = say(device, 0x300, "8890 9CFF 97 07 0000")
    assert isinstance(state, Reading)
    assert state.values["voltage_v"] == pytest.approx(370.0)
    assert state.values["current_a"] == pytest.approx(10.0)
    assert state.values["soc"] == pytest.approx(0.755)
    assert state.values["contactors_closed"] is True
    assert state.values["charge_enabled"] is True
    assert state.values["dbc_PackState_Current"] == pytest.approx(-10.0)
    cells = say(device, 0x301, "01 760E 770E 000000")
    assert isinstance(cells, Reading)
    found = cells.values["cell_voltage_v"]
    assert isinstance(found, tuple)
    assert all(math.isnan(float(v)) for v in found[:2])
    assert found[2:] == pytest.approx((3.702, 3.703))


def test_a_sentinel_of_a_map_is_missing(dbc: Path, tmp_path: Path) -> None:
    found = say(Dbc(dbc, written(tmp_path, MAP)), 0x300, "8890 9CFF FF 07 0000")
    assert isinstance(found, Reading)
    soc = found.values["soc"]
    assert isinstance(soc, float) and math.isnan(soc)


def test_fault_codes_of_a_map(dbc: Path, tmp_path: Path) -> None:
    device = Dbc(dbc, written(tmp_path, MAP))
    for data, codes, critical in (
        ("0000", (), 0),
        ("0200", ("Fan",), 0),
        ("0300", ("Isolation", "Fan"), 1),
    ):
        found = say(device, 0x302, data)
        assert isinstance(found, Reading)
        assert found.values["fault_codes"] == codes
        told = [n for n in found.notices if n.code == "critical_fault_code"]
        assert len(told) == critical


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('voltage = "PackState.Voltage"', "no value has this name"),
        ('voltage_v = "PackState.Volts"', "no signal"),
        ('voltage_v = {signal = "PackState.Voltage", factor = 2}', "takes"),
        ('voltage_v = ["PackState.Voltage", "PackState.Soc"]', "takes `signal`"),
        ('voltage_v = {signal = "PackState.Voltage", scale = "x"}', "no number"),
        ('voltage_v = {signal = "PackState.Voltage", scale = inf}', "not finite"),
        ('cell_voltage_v = ["Cells.Cell1", "Cells.Cell1"]', "twice"),
        ("cell_voltage_v = [1]", "MESSAGE.SIGNAL"),
        ('serial_number = "PackState.Mode"', "text"),
        ('fault_codes = ["Faults.Fan", "PackState.Relay"]', "one message"),
        ("voltage_v = 1", "takes"),
        ("voltage_v = ", "no TOML"),
        ("a" * 10, "no TOML"),
    ],
)
def test_a_wrong_map_is_refused(
    text: str, word: str, dbc: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=word) as raised:
        Dbc(dbc, written(tmp_path, text))
    assert raised.value.hint


def test_overlapping_signals_load_with_a_notice(tmp_path: Path) -> None:
    text = PACK.replace("Fan : 1|1", "Fan : 0|2")
    device = Dbc(written(tmp_path, text, "x.dbc"))
    assert [n.code for n in device.notices] == ["dbc_not_strict"]
    found = say(device, 0x302, "0300")
    assert isinstance(found, Reading)
    assert found.values["dbc_Faults_Fan"] == 3
    assert [n.code for n in found.notices][:1] == ["dbc_not_strict"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no message"),
        ("hello", "no message"),
        ("BO_ 1 X: 4000000000 A\n", "4000000000 bytes"),
        ('BO_ 1 X: 8 A\n SG_ s : 0|99999999@1+ (1,0) [0|1] "" B\n', "99999999 bits"),
        ("BO_ 1 X: 8 A\n\nBO_ 1 Y: 8 A\n", "two messages"),
        ("BO_ 4095 X: 8 A\n", "not readable"),
        ("BO_ 1 X: 8 A\n SG_ s : 0|8@1+ (1,0) [0|1", "understood"),
    ],
)
def test_what_is_no_whole_dbc_file(text: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=word) as raised:
        Dbc(written(tmp_path, text, "x.dbc"))
    assert raised.value.hint


def test_the_file_must_be_named_and_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a DBC file"):
        wire.protocol("dbc")
    with pytest.raises(InputError, match="cannot be opened"):
        Dbc(tmp_path / "none.dbc")
    with pytest.raises(InputError, match="cannot be opened"):
        Dbc(tmp_path)


def test_damaged_dbc_files_give_typed_errors(tmp_path: Path) -> None:
    data = (KONA / "pcan.dbc").read_bytes()[:6000]
    rng = random.Random(2)
    for turn in range(120):
        changed = bytearray(data[: rng.randrange(1, len(data))] if turn % 2 else data)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path = tmp_path / "x.dbc"
        path.write_bytes(changed)
        try:
            assert Dbc(path).messages
        except InputError as error:
            assert error.hint


def test_nothing_is_ever_sent(dbc: Path) -> None:
    device = wire.protocol("dbc", dbc=dbc)
    assert not device.permitted and not device.probes and not device.requests({})
    assert not device.keep_alive and not device.clear_faults


def test_kona_dbc_is_completed_and_decodes_a_real_log() -> None:
    device = Dbc(KONA / "pcan.dbc")
    assert len(device.messages) == 107
    assert [n.code for n in device.notices] == ["dbc_completed"]
    readings = wire.decode(device, open_frames(KONA / "precharge_relay.asc"))
    assert (len(readings.readings), len(readings.rejected)) == (873, 0)


def test_kona_log_decodes_as_many_frames_as_its_readme_says() -> None:
    log = open_frames(
        shared("can_kona/230112-7-2019-pcan-ccan-power-off-on-ready-off.csv")
    )
    readings = wire.decode(Dbc(KONA / "pcan.dbc"), log)
    assert (len(readings.readings), len(readings.rejected)) == (29_586, 0)

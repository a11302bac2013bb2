"""Worst stack depth of an AVR image, from its instructions.

The link-time optimiser leaves no ``-fstack-usage`` behind, so the image itself is read:
every path from the reset vector and from every interrupt vector is followed with the
depth of the stack on it. An interrupt routine never lets another one in (no ``sei``),
so the worst is the deepest path of the program plus the deepest routine. What cannot be
followed (recursion, a call through a pointer, an unknown stack pointer) is an error and
not a guess. Instructions: Microchip DS40002198, AVR Instruction Set Manual.
"""

import re
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

ROW = re.compile(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(\S*)[ \t]*([^;]*)(;.*)?$")
SYMBOL = re.compile(r"^([0-9a-f]+) <(.+)>:$")
SP_LOW, SP_HIGH = "0x3d", "0x3e"
PAIRS = ("r24", "r26", "r28", "r30")
SKIPS = frozenset({"cpse", "sbrc", "sbrs", "sbic", "sbis"})
KEEPS = frozenset(
    {"push", "out", "st", "std", "sts", "cp", "cpc", "cpi", "cpse", "tst", "sbrc"}
    | {"sbrs", "bst", "mul", "nop", "cbi", "sbi", "wdr", "cli", "sei", "bset", "bclr"}
)
"""Instructions that leave their first operand alone, or that have none."""
STEPPED = {
    f"{before}{letter}{behind}": pair
    for letter, pair in (("X", "r26"), ("Y", "r28"), ("Z", "r30"))
    for before, behind in (("", "+"), ("-", ""))
}
"""Operands that move a pointer register: `X+`, `-Y` and so on."""
DEEPEST = 65536
TABLE_JUMP = "__tablejump2__"


class UnknownDepthError(Exception):
    """The depth cannot be told from the instructions."""


@dataclass(frozen=True)
class Instruction:
    """One instruction; `next` is the address behind it."""

    address: int
    next: int
    name: str
    operands: tuple[str, ...]
    target: int | None


@dataclass(frozen=True)
class State:
    """Bytes on the stack, and for register pairs that hold a stack pointer: of it."""

    depth: int
    pairs: tuple[tuple[str, int], ...] = ()

    def pair(self, name: str) -> int | None:
        """Return the depth that a pair of registers holds, if it holds one."""
        return dict(self.pairs).get(name)

    def with_pair(self, name: str, value: int | None) -> "State":
        """Return this state with another value in a pair, None for no depth."""
        pairs = {**dict(self.pairs), name: value}
        kept = tuple(sorted((k, v) for k, v in pairs.items() if v is not None))
        return replace(self, pairs=kept)


@dataclass
class Image:
    """The instructions of an image, and the depths found so far."""

    code: dict[int, Instruction]
    symbols: dict[int, str]
    return_bytes: int
    last_ram: int
    depths: dict[int, int] = field(default_factory=dict)
    deepest_path: dict[int, tuple[int, ...]] = field(default_factory=dict)
    own: dict[int, int] = field(default_factory=dict)  # of an entry, without its calls

    def name(self, address: int) -> str:
        """Return the symbol an address belongs to."""
        return self.symbols[max(at for at in self.symbols if at <= address)]

    def within(self, address: int) -> list[int]:
        """Return the addresses of the function that an address belongs to."""
        starts = sorted(self.symbols)
        first = max(at for at in starts if at <= address)
        end = min((at for at in starts if at > address), default=DEEPEST**2)
        return [at for at in self.code if first <= at < end]


@dataclass(frozen=True)
class Stack:
    """Worst depth in bytes: of the program, of the deepest interrupt, and the way."""

    program: int
    interrupt: int
    path: tuple[str, ...]
    interrupt_name: str

    @property
    def worst(self) -> int:
        """An interrupt at the deepest point."""
        return self.program + self.interrupt


def read(elf: Path, *, return_bytes: int, last_ram: int) -> Image:
    """Disassemble an ELF."""
    text = subprocess.run(
        ["avr-objdump", "-d", str(elf)], capture_output=True, text=True, check=True
    ).stdout
    return parsed(text, return_bytes=return_bytes, last_ram=last_ram)


def parsed(text: str, *, return_bytes: int, last_ram: int) -> Image:
    """Read what avr-objdump -d prints."""
    code: dict[int, Instruction] = {}
    symbols: dict[int, str] = {}
    for row in text.splitlines():
        if symbol := SYMBOL.match(row):
            symbols[int(symbol[1], 16)] = symbol[2]
        elif found := ROW.match(row):
            address, length = int(found[1], 16), len(found[2].split())
            operands = tuple(o.strip() for o in found[4].split(",") if o.strip())
            target = None
            if operands and operands[-1].startswith("."):
                target = address + 2 + int(operands[-1][1:])
            elif found[3] in ("jmp", "call"):
                target = int(operands[0], 16)
            code[address] = Instruction(
                address, address + length, found[3], operands, target
            )
    return Image(code, symbols, return_bytes, last_ram)


def worst(image: Image) -> Stack:
    """Return the worst depth of the stack.

    Raises
    ------
    UnknownDepthError
        Recursion, a call or jump through a pointer, interrupts within interrupts, or a
        stack pointer from elsewhere.
    """
    vectors = {at for at in image.code if image.name(at) == "__vectors"}
    reset = min(vectors)
    # An unused vector leads to __bad_interrupt, which starts the program anew.
    routines = {
        instruction.target
        for at in vectors - {reset}
        if (instruction := image.code[at]).target is not None
        and image.name(instruction.target) != "__bad_interrupt"
    }
    deepest, name = 0, ""
    # Routines first: what they call is looked at for `sei` when it is seen first.
    for target in sorted(t for t in routines if t is not None):
        depth = _deepest(image, target, (), interrupt=True) + image.return_bytes
        if depth > deepest:
            deepest, name = depth, image.name(target)
    program = _deepest(image, reset, ())
    path = tuple(image.name(at) for at in image.deepest_path[reset])
    return Stack(program, deepest, path, name)


def _deepest(
    image: Image, entry: int, callers: tuple[int, ...], *, interrupt: bool = False
) -> int:
    """Return the most bytes on the stack below an entry, calls included."""
    if entry in callers:
        raise UnknownDepthError(f"{image.name(entry)} calls itself")
    if entry in image.depths:
        return image.depths[entry]
    seen: dict[int, State] = {}
    waiting = [(entry, State(0))]
    tables: list[tuple[int, State]] = []
    deepest, own = 0, 0
    path: tuple[int, ...] = (entry,)
    while waiting or tables:
        if not waiting:
            # Where a switch jumps is in a table: anywhere in its function.
            at, state = tables.pop()
            waiting = [(a, state) for a in image.within(at) if a not in seen]
            continue
        at, state = waiting.pop()
        if at in seen and seen[at].depth >= state.depth:
            continue
        if state.depth > DEEPEST:
            raise UnknownDepthError(f"a loop in {image.name(at)} never stops pushing")
        seen[at] = state
        instruction = image.code.get(at)
        if instruction is None:
            raise UnknownDepthError(f"no instruction at {at:#x}")
        if interrupt and instruction.name == "sei":
            raise UnknownDepthError(f"{image.name(entry)} lets other interrupts in")
        after = _moved(image, instruction, state)
        own = max(own, after.depth)
        deepest = max(deepest, after.depth)
        if _is_call(instruction):
            assert instruction.target is not None
            below = _deepest(
                image, instruction.target, (*callers, entry), interrupt=interrupt
            )
            total = state.depth + image.return_bytes + below
            if total > deepest:
                deepest = total
                path = (entry, *image.deepest_path[instruction.target])
        target = instruction.target
        if (
            instruction.name == "jmp"
            and target is not None
            and image.name(target) == TABLE_JUMP
        ):
            tables.append((at, after))
            continue
        waiting += [(to, after) for to in _successors(image, instruction)]
    image.depths[entry] = deepest
    image.own[entry] = own
    image.deepest_path[entry] = path
    return deepest


def _is_call(instruction: Instruction) -> bool:
    # `rcall .+0` calls nothing: it is the shortest way to make room on the stack.
    return instruction.name in ("call", "rcall") and (
        instruction.target != instruction.next
    )


def _successors(image: Image, instruction: Instruction) -> list[int]:
    name, target = instruction.name, instruction.target
    if name in ("ret", "reti"):
        return []
    if name in ("icall", "eicall", "ijmp", "eijmp"):
        raise UnknownDepthError(f"{name} in {image.name(instruction.address)}")
    if name in ("jmp", "rjmp"):
        assert target is not None
        return [] if target == instruction.address else [target]
    if name.startswith("br") and target is not None:
        return [instruction.next, target]
    if name in SKIPS:
        return [instruction.next, image.code[instruction.next].next]
    return [instruction.next]


def _moved(image: Image, instruction: Instruction, state: State) -> State:
    """Return the state behind an instruction."""
    name, operands = instruction.name, instruction.operands
    if name == "push":
        return replace(state, depth=state.depth + 1)
    if name == "pop":
        return _written(replace(state, depth=state.depth - 1), operands[0])
    if name == "rcall" and not _is_call(instruction):
        return replace(state, depth=state.depth + image.return_bytes)
    if name in ("call", "rcall"):
        # Registers from r18 to r27 and r30, r31 are the callee's.
        return replace(state, pairs=tuple(p for p in state.pairs if p[0] == "r28"))
    if name == "in" and operands[1] == SP_LOW:
        return state.with_pair(operands[0], state.depth)
    if name == "in" and operands[1] == SP_HIGH:
        return state
    if name == "out" and operands[0] == SP_LOW:
        depth = state.pair(operands[1])
        if depth is None:
            raise UnknownDepthError(
                f"stack pointer set in {image.name(instruction.address)}"
            )
        return replace(state, depth=depth)
    if name in ("sbiw", "adiw") and state.pair(operands[0]) is not None:
        change = int(operands[1], 0)
        return _changed(state, operands[0], change if name == "sbiw" else -change)
    if name == "ldi" and operands[0] in PAIRS:
        high = image.code.get(instruction.next)
        if high and high.name == "ldi" and high.operands[0] == _high(operands[0]):
            pointer = int(operands[1], 0) | int(high.operands[1], 0) << 8
            return state.with_pair(operands[0], image.last_ram - pointer)
    if name == "ldi" and operands[0] in map(_high, PAIRS):
        low = [i for i in image.code.values() if i.next == instruction.address]
        if low and low[0].name == "ldi" and _high(low[0].operands[0]) == operands[0]:
            return state  # the upper half of what was read above
    if name == "subi" and state.pair(operands[0]) is not None:
        upper = _upper_byte(image.code[instruction.next], operands[0])
        if upper is not None:
            change = int(operands[1], 0) | upper << 8
            change -= 0x10000 if change >= 0x8000 else 0
            return _changed(state, operands[0], change)
    if name in ("sbc", "sbci") and state.pair(_low(operands[0])) is not None:
        if _upper_byte(instruction, _low(operands[0])) is not None:
            return state  # the upper half of the subi above
    for operand in operands:
        if operand in STEPPED:
            state = state.with_pair(STEPPED[operand], None)
    if name in KEEPS or not operands:
        return state
    written = _written(state, operands[0])
    return _written(written, _high(operands[0])) if name == "movw" else written


def _upper_byte(instruction: Instruction, low: str) -> int | None:
    """Return what is subtracted from the upper half of a pair, if it is known."""
    if not instruction.operands or instruction.operands[0] != _high(low):
        return None
    if instruction.name == "sbci":
        return int(instruction.operands[1], 0)
    if instruction.name == "sbc" and instruction.operands[1] == "r1":
        return 0  # r1 is zero in all compiled code
    return None


def _changed(state: State, pair: str, change: int) -> State:
    value = state.pair(pair)
    assert value is not None
    return state.with_pair(pair, value + change)


def _written(state: State, register: str) -> State:
    """Return the state without what a written register held."""
    return state.with_pair(register, None).with_pair(_low(register), None)


def _high(register: str) -> str:
    return f"r{int(register[1:]) + 1}" if register[1:].isdigit() else register


def _low(register: str) -> str:
    return f"r{int(register[1:]) - 1}" if register[1:].isdigit() else register

"""The nesting of a picture: modules are never hidden in runs, and what repeats itself is folded."""

from __future__ import annotations

import time
from collections import Counter

from pictures import plan_of, planned

from convlint.model import Site
from convlint.model.placement import PlacedOp
from convlint.output.html.picture import Picture, picture_of
from convlint.output.html.repeats import Stretch, stretches


def picture(ops: list[tuple[str, str, int]]) -> Picture:
    """The picture of ops given by module, function and line."""
    (first, *_) = plan_of(["one"], 1).ops
    placed: list[PlacedOp] = []
    for index, (module, function, line) in enumerate(ops):
        site = Site("/somewhere/nets.py", line, f"line {line}", function)
        fields = {"index": index, "name": f"op_{index}", "site": site, "module": module}
        placed.append(type(first)(**{**{name: getattr(first, name) for name in first.__slots__}, **fields}))
    found = picture_of(None, planned(tuple(placed), "nets.py:Net"))
    assert found is not None
    return found


def children(found: Picture, box: int = 0) -> list[str]:
    return [each.name for each in found.boxes if each.parent == box]


def ops_in(found: Picture, box: int) -> int:
    below = Counter(node.box for node in found.nodes)
    for number in reversed(range(len(found.boxes))):
        if number:
            below[found.boxes[number].parent] += below[number]
    return below[box]


DETECTOR = [
    *[("backbone.body", "forward", line) for line in range(30)],
    *[("backbone.fpn", "forward", line) for line in range(10)],
    *[("head", "forward", line) for line in range(20)],
    *[("", "postprocess", 100 + line) for line in range(5)],
    *[("", "decode_single", 200 + line) for _ in range(91) for line in range(6)],
    *[("", "<listcomp>", 300 + line) for line in range(5)],
]


def test_a_detector_shows_its_modules_and_folds_its_loop() -> None:
    found = picture(DETECTOR)
    assert children(found) == ["backbone", "head", "postprocess()", "decode_single() ×91", "nets.py:300"]
    loop = children(found).index("decode_single() ×91") + 1
    assert found.boxes[loop].kind == "run"
    assert ops_in(found, loop) == 91 * 6
    assert ops_in(found, 0) == len(DETECTOR)
    rounds = [box for box in found.boxes if box.name.endswith("of 91") and "…" not in box.name]
    assert [box.name for box in rounds] == [f"{number} of 91" for number in range(1, 92)]
    assert max(Counter(box.parent for box in found.boxes).values()) <= 60


def test_two_hundred_ops_are_drawn_as_they_are() -> None:
    few = [("", "forward", 1 + number % 4) for number in range(200)]
    assert [box.kind for box in picture(few).boxes] == ["model"]
    assert children(picture([*few, ("", "forward", 1)])) == ["forward() ×50"]


def test_too_many_modules_stand_in_runs_of_modules() -> None:
    found = picture([(f"layers.{number}", "forward", 1) for number in range(400)])
    layers = next(number for number, box in enumerate(found.boxes) if box.path == "layers")
    assert len(children(found, layers)) <= 60
    assert children(found, layers)[0] == "0 … 33"


def test_the_stretches_are_the_whole_sequence() -> None:
    items = [*"xyz", *"abcd" * 5, *"q", *"ab" * 3, *"aaaaaaaaaaaaaa"]
    found = list(stretches(items))
    assert [each.start for each in found] == [0, *(each.stop for each in found[:-1])]
    assert found[-1].stop == len(items)
    assert Stretch(3, 23, 4, 5) in found
    assert found[-1] == Stretch(30, 44, 1, 14)


def test_a_long_program_is_searched_quickly() -> None:
    started = time.perf_counter()
    assert len(list(stretches(list(range(100_000))))) == 1
    assert next(each.times for each in stretches([number % 7 for number in range(100_000)])) == 14_285
    assert time.perf_counter() - started < 5

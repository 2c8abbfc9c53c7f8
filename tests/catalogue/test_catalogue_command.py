"""``convlint catalogue``: filters, orders, one entry in words, mistyped names, bad files."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from some_entries import catalogue_of, entry, places, refused, widths

from convlint.catalogue.entry import Equal
from convlint.cli.program import main

__all__ = ["catalogue_of"]

ENTRIES = (
    entry("acme/quick", parameters=2_000_000, gflops=0.5, places=places(0.4)),
    entry("acme/large", parameters=90_000_000, gflops=40.0, places=places(9.0)),
    entry("acme/finder", task="detection", **refused("graph")),
    entry("other/finder_two", task="detection", **refused()),
    entry("other/gone", unbuilt="ImportError: no module named gone", doors=(), places=(), parameters=0),
)


def names(text: str) -> list[str]:
    """The names of a table, in its order."""
    return [line.split()[0] for line in text.splitlines() if "/" in line.split("  ")[0]]


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["catalogue", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["acme/finder", "acme/large", "acme/quick", "other/finder_two", "other/gone"]),
        (("finder",), ["acme/finder", "other/finder_two"]),
        (("acme:fin",), ["acme/finder"]),
        (("*/f*",), ["acme/finder", "other/finder_two"]),
        (("--task", "detection", "--converts", "fixed"), ["acme/finder"]),
        (("--source", "other", "--converts", "unbuilt"), ["other/gone"]),
        (("--max-ms", "3", "--sort", "latency"), ["acme/quick", "acme/finder"]),
        (("--max-ms", "3", "--chip", "a15"), ["acme/quick"]),
        (("--sort", "size", "--converts", "as-is"), ["acme/quick", "acme/large"]),
        (("--sort", "gflops"), ["acme/quick", "acme/finder", "other/finder_two", "other/gone", "acme/large"]),
    ],
)
def test_entries_are_filtered_and_sorted(
    catalogue_of: Any, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: list[str]
) -> None:
    catalogue_of(ENTRIES)
    code, out, _ = ask(capsys, *words)
    assert (code, names(out)) == (0, expected)
    assert f"{len(expected)} of 5 entries, measured 2026-01-02 with coremltools 9.0" in out
    code, out, _ = ask(capsys, *words, "--format", "json")
    assert [row["name"] for row in json.loads(out)["entries"]] == expected


def test_nothing_found_is_said(catalogue_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue_of(ENTRIES)
    assert ask(capsys, "--max-ms", "0.1")[:2] == (0, "None of the 5 entries of the catalogue is that.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "acme/qiuck"), "no entry of the catalogue is named 'acme/qiuck'. Near it: acme/quick."),
        (("show", "fnider"), "no entry of the catalogue is named 'fnider'. Near it: acme/finder."),
        (("show", "find"), "Near it: acme/finder, other/finder_two."),
        (("finderr",), "no entry of the catalogue is named 'finderr'. Near it: acme/finder."),
        (("show", "zzz"), "`convlint catalogue` lists them all."),
        (
            ("--task", "detecton"),
            "the task 'detecton'. Did you mean detection? Known: classification, detection",
        ),
        (("--source", "acne"), "the source 'acne'. Did you mean acme?"),
        (("--chip", "A17"), "no forecasts for the chip 'A17'. Did you mean A15? It has: A15, A17 Pro."),
        (("--converts", "asis"), "Did you mean as-is?"),
        (("--max-ms", "0"), "--max-ms takes milliseconds above 0, not 0."),
        (("show",), "convlint catalogue show takes one name, not 0."),
        (("one", "two"), "convlint catalogue takes one pattern, not 2."),
    ],
)
def test_mistakes_are_one_paragraph(
    catalogue_of: Any, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    catalogue_of(ENTRIES)
    code, out, err = ask(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_one_entry_is_told_in_words(catalogue_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shown = entry(
        "acme/finder",
        task="detection",
        command=("acme:finder", "--arg", "name=a b", "--input", "1x3x64x64"),
        equal=Equal("equal", 2e-5),
        bytes_at=((16, 20_000_000), (4, 5_100_000)),
        static_agrees=True,
        warnings=(3, 2),
        features=widths((4, 96), (8, 192)),
        **refused("part"),
    )
    catalogue_of([shown])
    code, out, _ = ask(capsys, "show", "finder")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:2] == [
        "acme/finder detection, acme, family finder",
        "Converts in part, after changes: 2 changes by `convlint fix`.",
    ]
    for line in (
        "takes 1x3x224x224 float32",
        "size 10 M parameters, 4 GFLOPs",
        "package 20 MB with 16 bits a weight, 5.1 MB with 4 bits a weight",
        "export refused (coremltools 9.0): aten.linalg_eigh.default",
        "left CL100 aten.linalg_eigh.default x2: no converter",
        "numbers the program computes what PyTorch does, largest error 2e-05 of an output's largest value",
        "A17 Pro forecast of 3 ms (1.5 to 6), 75% of the time on the Neural Engine",
        "rules alone say what the conversion said",
        "warnings 3 about the Neural Engine, 2 of them borne out by the forecast",
        "features 96 channels at 1/4, 192 channels at 1/8",
        "again convlint check acme:finder --arg 'name=a b' --input 1x3x64x64",
    ):
        assert line in lines
    code, out, _ = ask(capsys, "show", "finder", "--format", "json")
    document = json.loads(out)
    assert (document["converts"], document["repairs"]["how"]) == ("in-part", "part")


def test_four_bits_that_fit_few_weights_are_said_to(
    catalogue_of: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue_of([entry("acme/narrow", bytes_at=((16, 853_397), (8, 431_477), (4, 840_149)))])
    _, out, _ = ask(capsys, "show", "narrow")
    assert "840 kB with 4 bits a weight, as blocks of 32 fit few of its weights" in " ".join(out.split())


def test_what_was_measured_with_another_release_says_so(
    catalogue_of: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here = version("coremltools")
    catalogue_of([entry("acme/quick", versions=(("coremltools", here),))])
    assert "*" not in ask(capsys)[1]
    old = (("coremltools", "1.2"), ("torch", "0.1"), ("no-such-package", "3"))
    catalogue_of([entry("acme/quick", versions=(("coremltools", here),)), entry("acme/old", versions=old)])
    _, out, _ = ask(capsys)
    assert "acme/old *" in out
    assert "acme/quick *" not in out
    assert f"* measured with another coremltools than the {here} that is installed here." in out
    _, out, _ = ask(capsys, "show", "old")
    assert f"installed here: coremltools {here}, torch" in out
    assert "not installed here: no-such-package" in out


def test_a_reduced_model_is_marked(catalogue_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue_of([*ENTRIES, entry("acme/part", reduced=True)])
    out = ask(capsys)[1]
    assert "acme/part ~" in out
    assert "~ measured with fewer layers or smaller widths than what people train." in out
    assert "GFLOPs: measured with fewer layers" in ask(capsys, "show", "part")[1]


def test_what_could_not_be_built_says_why(catalogue_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue_of(ENTRIES)
    code, out, _ = ask(capsys, "show", "other/gone")
    assert code == 0
    assert "Could not be measured: ImportError: no module named gone" in out


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "is damaged"),
        (lambda path: path.write_bytes(b"no archive"), "is damaged"),
    ],
)
def test_a_bad_catalogue_is_said_and_ends_with_3(
    catalogue_of: Any, capsys: pytest.CaptureFixture[str], spoil: Any, said: str
) -> None:
    spoil(catalogue_of(ENTRIES))
    code, out, err = ask(capsys)
    assert (code, out) == (3, "")
    assert said in err
    assert "Everything else works without it" in err


def test_fields_of_a_later_release_are_passed_over(
    catalogue_of: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = catalogue_of(ENTRIES)
    document = json.loads(lzma.decompress(path.read_bytes()))
    for row in document["entries"]:
        row["later"] = 1
        for place in row["places"]:
            place["later"] = 1
    path.write_bytes(lzma.compress(json.dumps(document).encode()))
    assert ask(capsys)[1].count("acme/") == 3


def test_it_is_answered_at_once(tmp_path: Path) -> None:
    """Nothing heavy is imported for the table of the catalogue that is shipped."""
    program = (
        "import sys, time; from convlint.cli.program import main; code = main(['catalogue']);"
        " heavy = {'torch', 'coremltools', 'rich', 'networkx', 'numpy'} & {*sys.modules};"
        " print(sorted(heavy), time.process_time(), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    heavy, seconds = done.stderr.splitlines()[-1].split()
    assert heavy == "[]"
    assert float(seconds) < 1.5, "a third of a second, but for what else this machine does"

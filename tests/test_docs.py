"""The documents: links that lead somewhere, Python that is Python, and commands that exist."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import tengen
from protocol.rpc.client import SERVICE_CONFIG
from tests.support.rpc_server import running_server
from tests.support.scripted_suggester import ScriptedSuggester

ROOT = Path(__file__).parents[1]

WRITTEN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
DOCUMENTS = [*WRITTEN, *sorted((ROOT / "models").rglob("*.md"))]  # model cards are generated
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
        path, _, anchor = target.partition("#")
        linked = document.parent / path if path else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@every_document
def test_python_and_toml_parse(document: Path) -> None:
    for source in blocks(document, "python"):
        compile(source, str(document), "exec")
    for source in blocks(document, "toml"):
        tomllib.loads(source)


@every_document
def test_commands_exist(document: Path) -> None:
    """Whatever a block shows after `tengen` or `make` can be called."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in blocks(document, ""):
        assert set(re.findall(r"(?:^|/|\s)tengen ([a-z]+)", block)) <= {*tengen.COMMANDS}
        assert set(re.findall(r"(?:^|\| )make (?:-s )?([a-z-]+)", block, re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", WRITTEN, ids=lambda path: path.name)
def test_lines_are_short(document: Path) -> None:
    lines = document.read_text().splitlines()
    assert [line for line in lines if len(line) > 125 and not line.startswith("|")] == []


def test_every_make_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    explained = set(re.findall(r"^([a-z-]+):.* ## ", makefile, re.MULTILINE))
    assert set(phony[1].split()) == explained


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "docs" / "guide-grpc.md"], ids=lambda path: path.name)
def test_client_examples_run(
    document: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The examples as a reader copies them, but for the address."""
    monkeypatch.chdir(tmp_path)
    Path("game.sgf").write_text("(;SZ[9]KM[7];B[ee];W[cg];B[];W[])")
    for source in blocks(document, "python"):
        with running_server(ScriptedSuggester()) as server:
            exec(source.replace("127.0.0.1:50051", server.target), {})
        assert capsys.readouterr().out
        assert "127.0.0.1:50051" in source


def test_the_grpc_guide_s_service_config_is_the_client_s() -> None:
    (source,) = blocks(ROOT / "docs" / "guide-grpc.md", "json")
    assert json.loads(source) == SERVICE_CONFIG


def test_environment_example_runs() -> None:
    (source,) = blocks(ROOT / "docs" / "guide-training.md", "python")
    names: dict[str, object] = {}
    exec(source, names)
    assert names["terminated"] is False

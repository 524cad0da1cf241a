"""Commands that cannot end well end with one line, and leave no half of a file."""

import subprocess
import sys
from pathlib import Path

import pytest

from skae import __main__ as main
from skae._command import errors, results
from skae._command.errors import CommandError
from tests.command.helpers import error_of, mixed, run

SCORE = [sys.executable, "-W", "error", "-m", "skae", "score", "shop.csv"]


@pytest.fixture
def _shop():
    mixed(60)[["amount", "ratio", "always"]].to_csv("shop.csv", index=False)


def parts():
    return [path for path in Path.cwd().iterdir() if path.name.endswith(".part")]


@pytest.mark.usefixtures("_shop")
def test_an_interrupted_writing_leaves_what_was_there(monkeypatch, capsys):
    Path("shop.scores.csv").write_text("of yesterday")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "_write_lines", interrupted)
    run("score", "shop.csv", code=130)
    assert capsys.readouterr().err == "python -m skae: interrupted\n"
    assert Path("shop.scores.csv").read_text() == "of yesterday"
    assert not parts()


@pytest.mark.usefixtures("_shop")
@pytest.mark.parametrize("option", ["--out", "--report", "--save"])
def test_a_full_disk_is_said_in_one_line(option, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("there is no device that is always full")
    line = error_of(capsys, "score", "shop.csv", option, "/dev/full")
    assert "/dev/full cannot be written" in line
    assert not parts()


@pytest.mark.usefixtures("_shop")
def test_folders_that_cannot_be_written_are_said_in_one_line(monkeypatch, capsys):
    def refused(self, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "replace", refused)
    line = error_of(capsys, "score", "shop.csv")
    assert "shop.scores.csv cannot be written" in line
    assert not parts()


def test_a_file_takes_its_place_when_it_is_whole():
    path = Path("a.txt")
    path.write_text("old")
    with errors.writing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(ValueError, match="torn"), errors.writing(path) as part:
        part.write_text("half")
        raise ValueError("torn")
    assert path.read_text() == "new"
    with (
        pytest.raises(CommandError, match="cannot be written"),
        errors.writing(Path("no/such/folder")) as part,
    ):
        part.write_text("x")
    Path("link").symlink_to("a.txt")
    with errors.writing(Path("link")) as part:
        part.write_text("through a link")
    assert Path("link").is_symlink()
    assert path.read_text() == "through a link"
    assert not parts()


@pytest.mark.slow
@pytest.mark.usefixtures("_shop")
def test_a_reader_that_leaves_is_no_error():
    with subprocess.Popen(
        SCORE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
    # Its files were there before.
    assert Path("shop.scores.csv").exists()
    assert Path("shop.report.html").exists()


def test_interrupted_imports_are_no_traceback(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "import_module", interrupted)
    run("score", "shop.csv", code=130)
    assert capsys.readouterr().err == "python -m skae: interrupted\n"

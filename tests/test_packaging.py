from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest brings tomli
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS = {name: ROOT / folder for name, folder in SETTINGS["package-dir"].items()}
# Top-level folders of Python files that are not installed.
NOT_INSTALLED = {"benchmarks", "docs", "examples", "tests"}
HEAVY = ("av", "c2pa", "cv2", "galois", "mediapipe", "numba", "numpy", "rich", "torch")


def test_every_folder_is_a_listed_package() -> None:
    assert sorted(SETTINGS["packages"]) == sorted(FOLDERS)
    for folder in FOLDERS.values():
        assert (folder / "__init__.py").is_file(), f"{folder} has no __init__.py"


def test_no_folder_of_python_files_is_left_out() -> None:
    tops = {path.parent.name for path in ROOT.glob("*/*.py")}
    assert tops - NOT_INSTALLED <= {folder.name for folder in FOLDERS.values()}


def test_lint_checks_every_folder() -> None:
    (line,) = (
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("FOLDERS")
    )
    checked = {"vasari", *(f"vasari.{folder}" for folder in line.partition(":=")[2].split())}
    assert checked == set(FOLDERS)


def test_packages_are_flat() -> None:
    for folder in FOLDERS.values():
        nested = {path.parent for path in folder.rglob("*.py")} - {folder}
        assert not nested, "an unlisted subfolder is missing from the wheel"


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    source, wheels = tmp_path / "source", tmp_path / "wheels"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in FOLDERS.values():
        shutil.copytree(
            folder,
            source / folder.relative_to(ROOT),
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(source)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"{name.replace('.', '/')}/{path.relative_to(folder).as_posix()}"
        for name, folder in FOLDERS.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != ".gitkeep"
    }
    assert packed == expected


@pytest.mark.parametrize(
    "code",
    [
        "import vasari",
        "from vasari import VasariError, Controls; import vasari.cli",
        "from vasari.cli import run; run(['--help'])",
        "from vasari.cli import run; run(['generate', '--help'])",
        "from vasari.cli import run; run(['verify', '--help'])",
    ],
)
def test_import_and_help_load_nothing_heavy(code: str) -> None:
    check = f"import sys; heavy = [n for n in {HEAVY} if n in sys.modules]; sys.exit(str(heavy))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "[]"


def test_public_names_are_there() -> None:
    import vasari

    for name in vasari.__all__:
        assert getattr(vasari, name) is not None
    assert callable(vasari.generate)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        vasari.nonsense  # noqa: B018

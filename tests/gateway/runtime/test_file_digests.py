"""A digest tells one set of files from another, wherever they lie."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from gateway.runtime.file_digests import files_sha256, program_files, program_sha256

CHECKOUT = Path(__file__).parents[3]


def program(folder: Path) -> Path:
    """A folder with a program of two files, and the bytecode of one."""
    for name in ("gateway/__init__.py", "gateway/__pycache__/a.pyc", "preprocess/b.sql"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return folder


def test_a_digest_is_over_a_sorted_line_for_each_file(tmp_path: Path):
    folder = program(tmp_path)
    files = program_files(folder)
    # sha256sum gateway/__init__.py preprocess/b.sql | sort | sha256sum
    expected = "6bd4e94fd294c707f33f0d5c153839b1d657355986c5254d84738547a9c20587"
    assert files_sha256(files, folder) == expected
    assert files_sha256(reversed(files), folder) == expected


def test_an_edited_or_moved_file_gives_another_digest_and_a_byproduct_none(tmp_path: Path):
    one, other = program(tmp_path / "one"), program(tmp_path / "other")

    def digest(folder: Path) -> str:
        return files_sha256(program_files(folder), folder)

    (other / "gateway/__pycache__/a.pyc").write_bytes(b"of another Python")
    (other / "gateway/.DS_Store").write_bytes(b"of a file manager")
    (other / "preprocess/.ruff_cache").mkdir()
    (other / "preprocess/.ruff_cache/a").write_bytes(b"of a tool")
    assert digest(one) == digest(other)
    (other / "preprocess/b.sql").write_bytes(b"edited")
    assert digest(one) != digest(other)
    (other / "preprocess/b.sql").write_bytes(b"b.sql")
    (other / "preprocess/b.sql").rename(other / "preprocess/c.sql")
    assert digest(one) != digest(other)


def test_a_wheel_has_the_digest_of_the_checkout_it_is_built_of(tmp_path: Path):
    [wheel] = WheelBuilder(str(CHECKOUT)).build(directory=str(tmp_path), versions=["standard"])
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    assert files_sha256(program_files(installed), installed) == program_sha256()

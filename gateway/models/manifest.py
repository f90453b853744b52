"""The manifest of a published model repository: every file with its SHA-256."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

NAME = "manifest.json"
_CONFIG = "config.pbtxt"


def _inside(path: str) -> str:
    way = PurePosixPath(path)
    if way.is_absolute() or ".." in way.parts or str(way) != path or path in {"", "."}:
        raise ValueError("leads out of the repository")
    return path


class ModelFile(BaseModel):
    """A file of the repository, by its way from the root."""

    model_config = ConfigDict(frozen=True)

    path: Annotated[str, AfterValidator(_inside)]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="Bytes.")


@dataclass(frozen=True, slots=True)
class VersionContents:
    """Files that make a version's answers.

    Parameters
    ----------
    config
        The ``config.pbtxt``, which all versions of the model share.
    files
        Name and SHA-256 of each file in the version's own folder.
    """

    config: ModelFile
    files: tuple[str, ...]


class ModelManifest(BaseModel):
    """The files of a repository. The SHA-256 of the document is the repository's digest."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal["radstream.models/1"] = Field("radstream.models/1", alias="schema")
    files: tuple[ModelFile, ...] = Field(min_length=1)

    def document(self) -> bytes:
        """Return the manifest as it is stored: the same files give the same bytes."""
        return self.model_dump_json(by_alias=True, indent=2).encode() + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the document, in hexadecimal."""
        return hashlib.sha256(self.document()).hexdigest()

    def versions(self) -> dict[str, VersionContents]:
        """Return all that makes an answer, by ``model/version``.

        That is the version's own folder and the model's ``config.pbtxt``: another threshold gives
        another finding. A model without a version folder, as an ensemble is, has version 1.
        """
        configs = {
            PurePosixPath(file.path).parts[0]: file
            for file in self.files
            if PurePosixPath(file.path).parts[1:] == (_CONFIG,)
        }
        contents: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            model, *rest = PurePosixPath(file.path).parts
            if model in configs and len(rest) > 1 and rest[0].isdecimal():
                contents[f"{model}/{rest[0]}"].append(f"{'/'.join(rest[1:])} {file.sha256}")
        for model in configs:
            if not any(version.startswith(f"{model}/") for version in contents):
                contents[f"{model}/1"] = []
        return {
            version: VersionContents(configs[version.partition("/")[0]], tuple(sorted(lines)))
            for version, lines in contents.items()
        }

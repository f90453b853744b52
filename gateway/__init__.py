"""RadStream's HTTP gateway: from a clinical system's study to a stored, explainable result."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("radstream")
except PackageNotFoundError:  # a source tree on the path, never installed
    __version__ = "0.0.0"

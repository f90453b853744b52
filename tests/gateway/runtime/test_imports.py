"""Garbage is left alone during imports, and no longer."""

import gc
from importlib import import_module

import pytest

from gateway.runtime.imports import importing


def test_garbage_is_collected_again_once_all_is_imported():
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_garbage_is_collected_again_after_an_import_that_failed():
    with pytest.raises(ImportError), importing():
        import_module("gateway.nothing")
    assert gc.isenabled()


def test_who_collects_none_goes_on_so():
    gc.disable()
    try:
        with importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()

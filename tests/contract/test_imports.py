"""Imports run one way, and importing opens nothing."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_imports_keep_to_the_contracts_of_pyproject():
    # In a process of its own: it switches off the loggers that there are.
    program = (
        "from importlinter.cli import lint_imports as lint; raise SystemExit(lint(no_cache=True))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_importing_reads_no_settings_and_opens_no_connection():
    # Variables that would stop a start, and an audit hook that ends the process at a connection.
    program = """
import sys
def hook(event, arguments):
    if event in {"socket.connect", "subprocess.Popen"}:
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(hook)
import gateway.app.application, gateway.app.server, gateway.cli.main, preprocess
"""
    environment = os.environ | {"RADSTREAM_HTTP__PORT": "many", "RADSTREAM_NONE": "1"}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=True)

"""Shell completion."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import main


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_each_shell_has_a_script(shell: str):
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_RADSTREAM_COMPLETE={shell}_complete" in done.output


def test_what_the_script_asks_for_is_answered():
    environment = os.environ | {
        "_RADSTREAM_COMPLETE": "bash_complete",
        "COMP_WORDS": "radstream del",
        "COMP_CWORD": "1",
    }
    program = Path(sys.executable).with_name("radstream")
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["plain,deliveries"]

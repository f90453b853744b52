"""What C code prints is counted and not repeated."""

from tests.gateway.observability.printed_log import COMPLAINTS, printed


def test_what_c_code_prints_is_counted():
    program = f"""{COMPLAINTS}
os.write(2, b'{{"event":"forged"}}\\nMUSTERMANN\\n')
time.sleep(0.2)
"""
    [event] = printed(program)
    assert (event["event"], event["lines"]) == ("library.output", 2)

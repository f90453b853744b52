import logging

import pytest
from structlog.testing import capture_logs

from gateway.triton.embedded.log import TritonLogLine, log_line, parse_line


@pytest.mark.parametrize(
    ("line", "level", "message", "source"),
    [
        (
            "I1123 00:28:09.345149 5955 model_lifecycle.cc:839] \"successfully loaded 'affine'\"",
            logging.INFO,
            "successfully loaded 'affine'",
            "model_lifecycle.cc:839",
        ),
        (
            'W1123 00:28:09.343082 5955 model.py:11] "two \\"lines\\"\\nof text"',
            logging.WARNING,
            'two "lines"\nof text',
            "model.py:11",
        ),
        (  # gRPC's own: nine digits, aligned, no quotes
            "E1123 00:30:35.238440318    6593 chttp2_server.cc:1060]          UNKNOWN:No address",
            logging.ERROR,
            "UNKNOWN:No address",
            "chttp2_server.cc:1060",
        ),
        ('F1123 00:28:09.343082 5955 main.cc:1] "end"', logging.CRITICAL, "end", "main.cc:1"),
        (  # cut off inside the quotes
            'E1123 00:28:09.343082 5955 main.cc:1] "begin',
            logging.ERROR,
            '"begin',
            "main.cc:1",
        ),
        (  # printed by a backend process
            "Segmentation fault",
            logging.WARNING,
            "Segmentation fault",
            None,
        ),
        (  # the usual case on a machine without a GPU
            'E1123 00:28:07.8 5955 server.cc:241] "CudaDriverHelper has not been initialized."',
            logging.DEBUG,
            "CudaDriverHelper has not been initialized.",
            "server.cc:241",
        ),
    ],
)
def test_line_becomes_level_message_and_source(
    line: str, level: int, message: str, source: str | None
):
    assert parse_line(line) == TritonLogLine(level, message, source)


@pytest.mark.parametrize(
    "line",
    [
        "I1123 00:28:09.345234 5955 server.cc:604] ",
        "+------------------+------+",
        "| Repository Agent | Path |",
        "",
    ],
)
def test_tables_say_nothing_new(line: str):
    assert parse_line(line) is None


def test_line_is_logged_as_one_event_at_its_level():
    with capture_logs() as events:
        log_line(TritonLogLine(logging.ERROR, "no such backend", "model_lifecycle.cc:642"))
    assert events == [
        {
            "event": "triton.log",
            "log_level": "error",
            "message": "no such backend",
            "source": "model_lifecycle.cc:642",
        }
    ]

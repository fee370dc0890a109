from __future__ import annotations

from rtmbench.platform import logs

JAVA_FAILURE = """\
2026 INFO  Server - starting
2026 ERROR Server - Exiting Kafka due to fatal exception
java.lang.RuntimeException: could not start
\tat kafka.Server.start(Server.scala:1)
Caused by: java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
\t... 12 more
2026 INFO  Server - shut down
"""


def test_the_telling_lines_are_the_error_and_its_cause(tmp_path):
    log = tmp_path / "x.log"
    log.write_text(JAVA_FAILURE)
    assert logs.telling_lines(log) == [
        "2026 ERROR Server - Exiting Kafka due to fatal exception",
        "java.lang.RuntimeException: could not start",
        "Caused by: java.net.BindException: Address already in use",
    ]


def test_without_an_error_the_last_lines_are_quoted(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("one\n\ntwo\nthree\nfour\n")
    assert logs.telling_lines(log, 2) == ["three", "four"]
    assert "wrote nothing" in logs.quote(tmp_path / "absent.log")

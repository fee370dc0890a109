"""What the command line answers to bad input: read in reviews, as it is here. Nothing is started."""

from __future__ import annotations

import shlex

import click
import pytest
from click.testing import CliRunner

from rtmbench.cli import rtmbench
from rtmbench.errors import RtmbenchError

CASES = (
    "run",
    "run 05",
    "run 01 02 nine",
    "run 01 --engines flink@9",
    "run 01 --engines spark@4.3:fast",
    "run 01 --engines flink:close",
    "run 02 --engines ''",
    "run 01 --rate 0",
    "run 01 --rate many",
    "run 01 --rate 1000,1000",
    "run 01 --rate 1e9",
    "run 01 --trials 1,2",
    "run 01 --duration soon",
    "run 01 --checkpoint-interval 1s",
    "run 01 --memory 12",
    "run 01 --payload 10",
    "run 01 --zipf 99",
    "run 01 --arrivals sometimes",
    "run 01 --arrivals burst:0",
    "run 01 --late 0.1",
    "run 02 --late 0.9",
    "run 02 --out-of-order 0.1",
    "run 02 --out-of-order 0.1:20s",
    "run 03 --window 10s --slide 20s",
    "run 02 --state-backend disk",
    "run 01 --slo p99",
    "run 01 --aa --find-rate",
    "run 01 --retry-failed",
    "run --resume nothing",
    "run 01 --flink-url http://127.0.0.1:8081",
    "run 01 --flink-url here --bootstrap-servers b:9092",
    "run 01 --spark-master spark://h:7077",
    "run 01 --spark-master local[4] --bootstrap-servers b:9092",
    "run 01 --spark-master yarn --bootstrap-servers b:9092",
    "run 01 --checkpoint-storage here",
    "run 01 --checkpoint-storage slow:fast",
    "run 01 --engine-cmd mine",
    "run 01 --engine-cmd flink=job",
    "run --spark-job none.py",
    "run --timestamp-field at",
    "run 01 --spark-job job.py",
    "run 01 --no-such-option",
    "compare nothing",
    "compare",
    "report nothing",
    "history 07",
    "parity 02 --trials 5",
    "explain NO_SUCH_CODE",
    "produce",
    "produce --bootstrap-servers b:1 --rate none",
    "produce --bootstrap-servers b:1 --shard x",
    "measure --bootstrap-servers b:1 --duration x",
    "submit flink@1.20 all --bootstrap-servers b:1",
    "engines fetch storm",
    "claims no-such-claim",
)


@pytest.mark.parametrize("line", CASES)
def test_an_error_is_as_it_was_reviewed(line, snapshot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "RTMBENCH_RESULTS"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(rtmbench, shlex.split(line), prog_name="rtmbench", standalone_mode=False)
    error = done.exception
    assert isinstance(error, (click.ClickException, RtmbenchError)), done.output
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert text.replace(str(tmp_path), "DIRECTORY") == snapshot

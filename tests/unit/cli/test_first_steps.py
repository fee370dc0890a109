"""`init` and `template`: what a user of a custom job begins with."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys

import pytest

from rtmbench import _core
from rtmbench.cli.init import FILES
from rtmbench.custom_jobs.payload import of_template


def call(*arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
    command = [sys.executable, "-m", "rtmbench", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_init_writes_files_that_fit_each_other(tmp_path):
    code, out, err = call("init", "mine", cwd=tmp_path)
    assert code == 0, err
    directory = tmp_path / "mine"
    assert {path.name for path in directory.iterdir()} == set(FILES)
    assert "    cd mine\n    rtmbench run --quick --spark-job job.py" in out
    payload = of_template(directory / "template.json")
    assert payload.field == "created_at"
    order = json.loads(payload.workload(1, 100, None).event(3, 1_700_000_000_000_000))
    check = runpy.run_path(str(directory / "checks.py"))["check"]

    class Record:
        def __init__(self, value):
            self.json = lambda: value

    right = {"order": 3, "cents": order["amount"] * 119}
    assert list(check([Record(order)], [Record(right)])) == []
    assert len(list(check([Record(order)], []))) == 1
    assert len(list(check([Record(order)], [Record(right)] * 2))) == 1
    assert len(list(check([Record(order)], [Record({**right, "cents": 1})]))) == 1
    # The settings are comments, each of a setting that exists: the command reads the file where it is called.
    settings = (directory / "rtmbench.toml").read_text(encoding="utf-8").replace("\n# ", "\n")
    lines = [line for line in settings.splitlines() if " = " in line]
    (directory / "rtmbench.toml").write_text("\n".join(lines), encoding="utf-8")
    code, _, err = call("parity", "01", "--engines", "none", cwd=directory)
    assert "rtmbench.toml" not in err, err
    code, _, err = call("init", "mine", cwd=tmp_path)
    assert code == 2
    assert "job.py and template.json and checks.py and rtmbench.toml exist in mine" in err


@pytest.fixture
def properties(broker, config, tmp_path):
    """Client properties for a topic with 500 of rtmbench's own events."""
    broker.create_topic("orders", partitions=3)
    workload = _core.Workload(1, keys=20)
    _core.Generator(config, "orders", workload, _core.Schedule.constant(1_000), count=500).run()
    path = tmp_path / "client.properties"
    path.write_text(f"bootstrap.servers={broker.bootstrap_servers}\nfetch.wait.max.ms=1\n", encoding="utf-8")
    return path


def test_a_template_is_made_of_a_topic(properties, tmp_path):
    options = ("--from-topic", "orders", "--kafka-properties", properties, "--records", 300)
    code, out, err = call("template", *options, "--keep", "event_type", cwd=tmp_path)
    assert code == 0, err
    payload = of_template(tmp_path / "template.jsonl")
    assert payload.field == "scheduled_at_us"
    assert 250 < len(payload.texts) <= 300
    assert "keys: 20, as often as in these records" in out
    assert "times: produced_at (epoch ms), scheduled_at_us (epoch µs)" in out
    assert "next: rtmbench run --template template.jsonl --rate " in out
    event = json.loads(payload.workload(1, 100, None).event(0, 1_700_000_000_123_456))
    assert list(event) == ["event_id", "event_type", "key", "value", "produced_at", "scheduled_at_us"]
    assert event["event_type"] in {"click", "view", "purchase"}
    code, _, err = call("template", *options, cwd=tmp_path)
    assert code == 2
    assert "template.jsonl exists" in err
    code, out, err = call("template", *options, "--out", "other.jsonl", "--json", cwd=tmp_path)
    assert code == 0, err
    document = json.loads(out)
    assert (document["records"], document["keys"], document["skipped"]) == (len(payload.texts), 20, 0)
    assert 500 < document["rate"] < 2_000


def test_a_missing_topic_is_named(properties, tmp_path):
    code, _, err = call("template", "--from-topic", "absent", "--kafka-properties", properties, cwd=tmp_path)
    assert code == 1
    assert "absent" in err
    assert not (tmp_path / "template.jsonl").exists()

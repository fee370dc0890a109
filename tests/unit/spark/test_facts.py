"""What is read back from a session, without what may be a secret."""

from __future__ import annotations

from types import SimpleNamespace

from rtmbench.spark.facts import _settings


def test_system_properties_of_executors_are_left_out():
    options = "-XX:+UseG1GC -Djavax.net.ssl.trustStorePassword=canary -Xms700m"
    core = SimpleNamespace(contains=lambda _: True, get=lambda name: options if name.endswith("Options") else "x")
    read = _settings(SimpleNamespace(get=lambda _: "x"), core)
    assert read["spark.executor.extraJavaOptions"] == "-XX:+UseG1GC -Xms700m"
    assert "canary" not in str(read)

from __future__ import annotations

from rtmbench.platform import kafka


def test_kafka_listens_on_loopback_only(tmp_path):
    text = kafka.server_properties(broker_port=1, controller_port=2, data=tmp_path)
    listeners = [line for line in text.splitlines() if "listeners=" in line]
    assert listeners == [
        "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2",
        "advertised.listeners=PLAINTEXT://127.0.0.1:1",
    ]

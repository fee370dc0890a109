"""What the compose file publishes, and from which images."""

import re

from places import ROOT

COMPOSE = (ROOT / "docker" / "docker-compose.yml").read_text(encoding="utf-8")


def test_every_port_is_published_on_loopback_alone():
    published = re.findall(r'^\s+- "?([\d.:\[\]]+:\d+)"?$', COMPOSE, re.MULTILINE)
    assert len(published) == COMPOSE.count("ports:") == 2
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "network_mode" not in COMPOSE
    assert "privileged" not in COMPOSE


def test_every_image_has_a_version():
    images = re.findall(r"image: (\S+)", COMPOSE)
    assert images
    assert all(re.fullmatch(r"apache/\w+:\d+\.\d+\.\d+\S*", image) for image in images)

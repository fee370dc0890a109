"""What tests of several packages use: an in-process mock broker, and how a client reaches it."""

from __future__ import annotations

import pytest

from rtmbench import _core


@pytest.fixture
def broker():
    """A mock broker without topics; a test file that needs some has a `broker` of its own on top."""
    with _core.MockBroker() as broker:
        yield broker


@pytest.fixture
def config(broker):
    """The client settings for the mock broker, which then answers at once."""
    return {"bootstrap.servers": broker.bootstrap_servers, "fetch.wait.max.ms": "1"}

"""The marker of this folder. It stands here because no other room's test needs a kubelet."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "kubelet: runs a pod on a real kubelet; needs root, containerd, runc and CNI plugins"
    )

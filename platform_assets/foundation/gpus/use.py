"""How a step uses its GPUs: sampled from the driver (NVML) while it works, for its metadata and for Prometheus.

In a pod these are the GPUs the pod holds; outside of one, all of the machine. Does not belong here: whether they can be computed
on (`required`), choosing a device, and what `nvidia-smi` shows of other pods (the DCGM exporter tells that).
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

EVERY_SECONDS = 5.0
# A GPU below this share of its time counts as idle.
IDLE_BELOW = 0.05
# Prometheus comes from outside the pod.
ANY_ADDRESS = "0.0.0.0"  # noqa: S104

# Fields of a sample, and the names and meanings of their gauges.
METRICS = (
    ("utilization", "utilization_ratio", "Share of time a kernel ran"),
    ("memory_used", "memory_used_bytes", "GPU memory in use"),
    ("memory_total", "memory_total_bytes", "GPU memory there is"),
    ("watts", "power_watts", "Power the board draws"),
)


@dataclass(frozen=True)
class Sample:
    """One GPU at one moment; `watts` is None on boards that do not say."""

    device: str
    utilization: float
    memory_used: int
    memory_total: int
    watts: float | None


@dataclass
class GpuUse:
    """What was sampled so far.

    Attributes:
        problem: what kept the driver or the port from answering; None: nothing.
        devices: names of the GPUs; none without a driver or a GPU.
    """

    devices: tuple[str, ...] = ()
    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    problem: str | None = None

    def metadata(self) -> dict[str, str | float | int]:
        """For a step's output: shares of 0–1, bytes, watts and seconds; `{"gpu": "none"}` when there is no GPU."""
        if not self.samples:
            return {"gpu": "none"} if self.problem is None else {"gpu": "not measured", "gpu_problem": self.problem}
        shares = sorted(sample.utilization for sample in self.samples)
        watts = [sample.watts for sample in self.samples if sample.watts is not None]
        figures: dict[str, str | float | int] = {
            "gpu": ", ".join(self.devices),
            "gpu_utilization_mean": round(sum(shares) / len(shares), 4),
            "gpu_utilization_p50": _quantile(shares, 0.5),
            "gpu_utilization_p95": _quantile(shares, 0.95),
            "gpu_idle_share": round(sum(share < IDLE_BELOW for share in shares) / len(shares), 4),
            "gpu_memory_peak_bytes": max(sample.memory_used for sample in self.samples),
            "gpu_memory_total_bytes": max(sample.memory_total for sample in self.samples),
            "gpu_seconds": round(self.seconds * len(self.devices), 1),
            "gpu_samples": len(shares),
        }
        if watts:
            figures["gpu_power_mean_watts"] = round(sum(watts) / len(watts), 1)
        return figures | ({"gpu_problem": self.problem} if self.problem else {})


@contextmanager
def gpu_use(
    campaign: str = "", step: str = "", port: int | None = None, every: float = EVERY_SECONDS, bind: str = ANY_ADDRESS
) -> Iterator[GpuUse]:
    """Samples the GPUs from a thread of its own until the block ends.

    No driver or no GPU is nothing special, and nothing that goes wrong here ends the step: it is told in the metadata.

    Args:
        campaign, step: labels of the Prometheus metrics.
        port: serves them there on `/metrics` at `bind`; None: nowhere.
        every: seconds between two samples; the first is taken at once.
    """
    use = GpuUse()
    nvml, devices = _opened(use)
    if nvml is None:
        yield use
        return
    began = time.monotonic()
    ended = threading.Event()
    show, close = _served(use, campaign, step, port, bind)

    def sample_until_ended() -> None:
        while True:
            try:
                latest = _sample(nvml, devices)
            except nvml.NVMLError as error:
                use.problem = f"NVML while sampling: {error}"
                return
            use.samples += latest
            show(latest)
            if ended.wait(every):
                return

    sampler = threading.Thread(target=sample_until_ended, name="gpu-use", daemon=True)
    sampler.start()
    try:
        yield use
    finally:
        ended.set()
        sampler.join()
        use.seconds = time.monotonic() - began
        close()
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError as error:
            use.problem = use.problem or f"NVML cannot be closed: {error}"


def _opened(use: GpuUse) -> tuple[ModuleType | None, list[tuple[str, Any]]]:
    """The driver's library and (index, handle) of each GPU; None when there is nothing to sample, with the problem told."""
    try:
        import pynvml
    except ImportError:
        use.problem = "nvidia-ml-py is not installed; it comes with the extra `kubernetes`"
        return None, []
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return None, []
    except pynvml.NVMLError as error:
        use.problem = f"NVML cannot be opened: {error}"
        return None, []
    try:
        handles = [
            (str(index), pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(pynvml.nvmlDeviceGetCount())
        ]
        use.devices = tuple(str(pynvml.nvmlDeviceGetName(handle)) for _, handle in handles)
    except pynvml.NVMLError as error:
        use.problem = f"NVML names no GPUs: {error}"
        handles = []
    if not handles:
        pynvml.nvmlShutdown()
        return None, []
    return pynvml, handles


def _sample(nvml: ModuleType, devices: Sequence[tuple[str, Any]]) -> list[Sample]:
    samples = []
    for index, handle in devices:
        rates = nvml.nvmlDeviceGetUtilizationRates(handle)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        try:
            watts = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        except nvml.NVMLError_NotSupported:
            watts = None
        samples.append(Sample(index, rates.gpu / 100, int(memory.used), int(memory.total), watts))
    return samples


def _served(
    use: GpuUse, campaign: str, step: str, port: int | None, bind: str
) -> tuple[Callable[[list[Sample]], None], Callable[[], None]]:
    """What shows samples to Prometheus, and what ends that; both do nothing without a port."""
    if port is None:
        return lambda samples: None, lambda: None
    from prometheus_client import CollectorRegistry, Gauge, start_http_server

    registry = CollectorRegistry()
    labels = ["campaign", "step", "device"]
    gauges = {
        figure: Gauge(f"platform_gpu_{name}", meaning, labels, registry=registry) for figure, name, meaning in METRICS
    }

    def show(samples: list[Sample]) -> None:
        for sample in samples:
            for figure, gauge in gauges.items():
                if (value := getattr(sample, figure)) is not None:
                    gauge.labels(campaign, step, sample.device).set(value)

    try:
        server, thread = start_http_server(port, addr=bind, registry=registry)
    except OSError as error:
        use.problem = f"port {port} cannot serve GPU metrics: {error}"
        return lambda samples: None, lambda: None

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return show, close


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank, so that it is a value that was sampled."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

"""The context that every part of the gateway is opened in."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gateway.app.lifespan.background import running
from gateway.delivery.storage_commitment import AwaitedReports
from gateway.models.recovery import OtherProcesses
from gateway.runtime.file_digests import program_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine
    from contextlib import AsyncExitStack

    from opentelemetry.trace import Tracer
    from prometheus_client.registry import Collector

    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.runtime.health import Health
    from gateway.settings import Settings
    from gateway.triton.protocol import TritonHost

T = TypeVar("T")


class WorkerPlace(OtherProcesses, Protocol):
    """A process's place in a gateway of several processes.

    Attributes
    ----------
    leads
        True in the one that has the DICOM listener and the watched folder, and may have Triton
        started anew through a file.
    commitment_reports
        Reports of archives on storage commitment, which come to one process, and deliveries of all
        wait for.
    """

    leads: bool
    commitment_reports: AwaitedReports

    async def collected_metrics(self) -> Collector:
        """Return what the metrics of all processes come to."""
        ...


@dataclass(frozen=True, slots=True)
class LifespanContext:
    """The settings and instruments that every part of the gateway is opened with.

    Parameters
    ----------
    settings, metrics, health, tracer, pseudonyms
        As for the whole gateway.
    stack
        Closes in reverse whatever is opened.
    triton_host
        The supervisor of Triton's process, where the gateway runs it itself.
    worker
        The process's place in a gateway of several processes; None where there is one.
    instance
        Host name of this gateway.
    program_sha256
        SHA-256 over the files of the program, before anybody edits them under it.
    tenant
        Tenant whose part is opened; None for the whole gateway, or where there are no tenants.
    counted
        By tenant, what there was of each kind at its last sweep; one for all tenants.
    commitment_reports
        Reports of archives on storage commitment, which deliveries wait for.
    """

    settings: Settings
    metrics: Metrics
    health: Health
    tracer: Tracer
    pseudonyms: Pseudonyms
    stack: AsyncExitStack
    triton_host: TritonHost | None = None
    worker: WorkerPlace | None = None
    instance: str = field(default_factory=socket.gethostname)
    program_sha256: str = field(default_factory=program_sha256)
    tenant: str | None = None
    counted: dict[str, dict[str | None, Collection[Any]]] = field(default_factory=dict)
    commitment_reports: AwaitedReports = field(default_factory=AwaitedReports)

    @property
    def leads(self) -> bool:
        """Return True if this process does what one process of a gateway does alone."""
        return self.worker is None or self.worker.leads

    async def collected_metrics(self) -> Collector:
        """Return what the metrics of all processes of the gateway come to."""
        if self.worker is None:
            return self.metrics.registry
        return await self.worker.collected_metrics()

    def of_tenant(self, tenant: str | None) -> LifespanContext:
        """Return the context that a tenant's part is opened in; None returns this one."""
        if tenant is None:
            return self
        return replace(self, tenant=tenant, pseudonyms=self.pseudonyms.of_tenant(tenant))

    def counting(
        self, kind: str, keep: Callable[[Collection[T]], None]
    ) -> Callable[[Collection[T]], None]:
        """Return what takes a tenant's share of a metric that is kept of all tenants together.

        Parameters
        ----------
        kind
            Name of what is counted.
        keep
            Takes what all tenants have of it.
        """
        parts = self.counted.setdefault(kind, {})

        def count(found: Collection[T]) -> None:
            parts[self.tenant] = found
            keep([item for part in parts.values() for item in part])

        return count

    async def run(self, name: str, work: Coroutine[object, object, object]) -> None:
        """Run the work beside the requests from now on, until the stack is closed."""
        await self.stack.enter_async_context(running(name, work, self.health))

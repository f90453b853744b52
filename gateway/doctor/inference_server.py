"""Triton, and the golden image of each model that it serves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.doctor.findings import Check, FaultError, Finding, Outcome, Side
from gateway.doctor.handshake import Address
from gateway.doctor.web_peers import get
from gateway.errors import (
    ContractError,
    DeadlineExceededError,
    InferenceFailedError,
    RadStreamError,
)
from gateway.models.contracts import read_contract
from gateway.models.golden import try_golden
from gateway.models.inventory import take_inventory
from gateway.settings import DELIMITER, PREFIX
from gateway.triton.client import TritonClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.doctor.clocks import Clocks
    from gateway.models.inventory import Inventory
    from gateway.settings import TritonSettings
    from gateway.triton.protocol import RepositoryEntry

_URL = f"{PREFIX}TRITON{DELIMITER}URL"
# Of an address that nobody has set, a gateway with an embedded Triton may need none.
_DEFAULT = "the default; a gateway of `radstream up` has a Triton of its own"
_OF_DEFAULT = (Side.EITHER, f"{_URL}, or start Triton there", Outcome.WARNING)
_TIMEOUT_S = 15.0
_OK = 200


async def triton_findings(settings: TritonSettings, clocks: Clocks) -> AsyncIterator[Finding]:
    """Yield whether Triton answers, then what each of its models makes of its golden image."""
    client = TritonClient(settings.url, message_bytes=settings.message_bytes)
    try:
        try:
            inventory = await take_inventory(
                client, _TIMEOUT_S, use_ensembles=settings.placement == "triton"
            )
        except RadStreamError as error:
            fault = await _unreachable(settings.url, clocks, error)
            if "url" not in settings.model_fields_set and "nothing listens" in fault.detail:
                fault = FaultError(f"{fault.detail}, {_DEFAULT}", *_OF_DEFAULT)
            yield fault.of(Check.TRITON, settings.url)
            return
        served = len(inventory.models)
        yield Finding(Check.TRITON, settings.url, Outcome.OK, f"answers, model versions: {served}")
        for entry in inventory.models:
            yield await _model(client, inventory, entry)
    finally:
        await client.close()


async def _unreachable(url: str, clocks: Clocks, error: RadStreamError) -> FaultError:
    """Return what is wrong with the address, by what answers there if not Triton's gRPC."""
    host, _, port = url.rpartition(":")
    if not host or not port.isdecimal():
        return FaultError(f"{url} is no host:port", Side.GATEWAY, f"{_URL}: host:port")
    address = Address(host.strip("[]"), int(port), _URL, "")
    try:
        answer = await get(f"http://{url}/v2/health/ready", address, clocks)
    except FaultError as fault:
        if "gives no HTTP answer" not in fault.detail:
            return fault
        detail = f"{url} is connected to and does not answer as Triton: {error}"
        return FaultError(detail, Side.EITHER, f"{_URL}: Triton's gRPC port, 8001 by default")
    what = "Triton's HTTP port" if answer.status == _OK else "another HTTP server"
    detail = f"{url} is {what}, and gRPC is asked for"
    return FaultError(detail, Side.GATEWAY, f"{_URL}: Triton's gRPC port, 8001 by default")


async def _model(client: TritonClient, inventory: Inventory, entry: RepositoryEntry) -> Finding:
    target, key = f"{entry.name}/{entry.version}", (entry.name, entry.version)
    config = inventory.configs.get(key)
    if config is None:
        reason = entry.reason or "being loaded"
        change = "Triton's log, and the model's folder in its repository"
        return Finding(
            Check.TRITON, target, Outcome.FAULT, f"it is not loaded: {reason}", Side.PEER, change
        )
    try:
        served = read_contract(entry.name, entry.version, config)
        served = replace(served, ensembles=inventory.ensembles.get(key, {}))
        await try_golden(client, served, _TIMEOUT_S, instances=config.instances)
    except (ContractError, InferenceFailedError) as error:
        change = f"{entry.name}/config.pbtxt: parameter radstream, or the model's files"
        return Finding(Check.TRITON, target, Outcome.FAULT, error.reason, Side.PEER, change)
    except DeadlineExceededError:
        detail = f"its golden image is not processed within {_TIMEOUT_S:g} s"
        change = "Triton's load, or instances of the model (`radstream models tune`)"
        return Finding(Check.TRITON, target, Outcome.WARNING, detail, Side.PEER, change)
    except RadStreamError as error:
        change = "Triton's log: the model, or a process of it, is gone"
        return Finding(Check.TRITON, target, Outcome.FAULT, str(error), Side.PEER, change)
    return Finding(
        Check.TRITON, target, Outcome.OK, "its golden image gives what the contract says"
    )

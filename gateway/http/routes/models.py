"""The models over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from gateway.access.callers import Scope
from gateway.http.dependencies import GatewayDependency, Reach
from gateway.http.requests.access import require
from gateway.schemas.models import ModelList, ModelReport

router = APIRouter(
    prefix="/v1/models",
    tags=["models"],
    dependencies=[Depends(require(Scope.STUDIES_READ, Reach.NO_STUDY))],
)


@router.get("", summary="List the models with their contracts", response_model_exclude_none=True)
async def list_models(gateway: GatewayDependency) -> ModelList:
    """Return every model version in Triton's repository: its contract, or why it is not used."""
    return ModelList(
        models=tuple(
            ModelReport(
                name=state.name,
                version=state.version,
                state=state.state,
                reason=state.reason or None,
                contract=state.served.contract if state.served else None,
                is_accepted=gateway.acceptances.known(state.served) if state.served else None,
                contract_sha256=state.served.contract.sha256 if state.served else None,
            )
            for state in gateway.models.states()
        )
    )

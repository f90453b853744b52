"""Writes each dashboard to the chart's folder."""

from pathlib import Path

from helm.dashboards import capacity, ingestion, model_health, models, service
from helm.dashboards.panels import to_json

FOLDER = Path(__file__).parents[1] / "radstream/dashboards"


def documents() -> dict[str, str]:
    """The JSON of each dashboard by the name of its file."""
    return {
        "service.json": to_json(service.dashboard()),
        "models.json": to_json(models.dashboard()),
        "model-health.json": to_json(model_health.dashboard()),
        "ingestion.json": to_json(ingestion.dashboard()),
        "capacity.json": to_json(capacity.dashboard()),
    }


if __name__ == "__main__":
    for name, document in documents().items():
        (FOLDER / name).write_text(document)

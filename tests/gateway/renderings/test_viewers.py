"""A viewer shows the report's mark and the heat map of a study that lies in a PACS."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from pydicom import dcmread

from gateway.observability.metrics import Metrics
from gateway.pictures.pictures import Pictures
from gateway.renderings.reports import Reports
from gateway.results.documents import ActivationMap
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstones import Tombstones
from gateway.studies.imaging import Imaging
from preprocess import Limits
from tests.gateway.dicomweb.test_javascript_peers import OHIF, PEERS, SAMPLE, run
from tests.gateway.renderings.test_reports import METADATA, add
from tests.support.orthanc import running_orthanc
from tests.support.readings import frame
from tests.support.store import MemoryStore


def evidence() -> ActivationMap:
    """The map of a 14 x 14 grid with evidence around row 8 and column 4."""
    rows, columns = np.mgrid[:14, :14]
    cells = np.exp(-((rows - 8) ** 2 + (columns - 4) ** 2) / 6).astype("<f2")[None]
    return ActivationMap(shape=cells.shape, data=base64.b64encode(cells.tobytes()))


@pytest.mark.server
@pytest.mark.timeout(600)  # a browser that draws without a graphics card
async def test_ohif_shows_the_mark_and_the_heat_map(tmp_path: Path) -> None:
    objects = MemoryStore()
    results = ResultStore(objects, StudyDocuments(objects))
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    reports = Reports(results, imaging, Pictures(results, imaging, at_once=1), Tombstones(objects))
    data, original = SAMPLE.read_bytes(), dcmread(SAMPLE, stop_before_pixels=True)
    size = {"rows": original.Rows, "columns": original.Columns}
    # A PACS keeps the objects of another patient apart, even those of one study.
    metadata = METADATA.model_copy(update={"patient_id": original.PatientID})
    await add(results, data, metadata, frames=(frame(**size, activation_map=evidence()),))
    study, mark, heat_map = (tmp_path / f"{name}.png" for name in ("study", "mark", "heat-map"))
    (tmp_path / "storage").mkdir()
    async with running_orthanc(tmp_path) as pacs:
        await pacs.keep(data)
        await pacs.keep(await reports.structured_report("S1"))
        async for capture in reports.secondary_captures("S1"):
            await pacs.keep(capture)
        root = f"{str(pacs.client.base_url).rstrip('/')}/dicom-web"
        await run(
            *(str(PEERS / "viewer.js"), root, str(OHIF), original.StudyInstanceUID, str(study)),
            *("AI results, not reviewed", "mark", str(mark)),
            *("Heat maps of cxr 1, not reviewed", "colour", str(heat_map)),
        )
    viewport = np.s_[160:740, 300:1230]
    blue, green, red = np.moveaxis(cv2.imread(str(mark))[viewport].astype(int), -1, 0)
    assert np.sum((green > 200) & (red < 60) & (blue < 60)) > 100  # an arrow and its words
    blue, green, red = np.moveaxis(cv2.imread(str(heat_map))[viewport].astype(int), -1, 0)
    assert np.sum(red - blue > 60) > 5000  # the evidence over a grey picture

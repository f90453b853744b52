"""Two hospitals on one gateway, one of which attacks the other by every route there is."""

import asyncio
import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import is_processed
from tests.support.dicomweb import store as stow
from tests.support.dimse import associated
from tests.support.dimse import store as c_store
from tests.support.gateway import audit_trail, files_in, metadata, multipart, until
from tests.support.models import flat_png
from tests.support.pairing import sidecar
from tests.support.tenants import (
    TENANTS,
    Hospitals,
    Secrets,
    hospitals,
    known_study,
    routes,
)

pytestmark = pytest.mark.server

# They send a study, and make one of the attacker's own: `test_a_study_of_the_same_name…`.
SENDING = {
    "/v1/studies",
    "/dicomweb/studies",
    "/dicomweb/studies/{study_instance_uid}",
    "/console/send/study",
    "/console/send/samples",
}
# They end the attacker's session, or begin one.
SESSION = {
    *("/console/sign-in", "/console/sign-in/provider", "/console/sign-in/callback"),
    *("/console/sign-out", "/console/language"),
}
INSTANCE = (
    "/dicomweb/studies/{study_instance_uid}/series/{series_instance_uid}"
    "/instances/{sop_instance_uid}"
)
VERSION = "/v1/models/{name}/versions/{version}"
# What a tenant's own study does not have.
LACKING = {
    f"{INSTANCE}/bulkdata/{{tag}}",
    "/console/static/{digest}/{name}",
    "/console/destinations/{name}",
    "/console/models/{name}/{version}",
    VERSION,
    "/console/{path:path}",
}
OF_ALL = {
    *("/metrics", "/console/live", "/console/live/numbers.json"),
    "/v1/models/{name}/load",
    "/v1/models/{name}/versions/{version}/acceptance",
    "/v1/models/{name}/versions/{version}/rearm",
    "/v1/models/{name}/versions/{version}/reference",
}


@pytest.fixture(scope="module")
async def shared(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Hospitals]:
    async with hospitals(triton.grpc_url, tmp_path_factory.mktemp("tenants")) as found:
        yield found


@pytest.fixture(scope="module")
async def victim(shared: Hospitals) -> Secrets:
    """A study of the south, and a parked item."""
    async with shared.client("south") as client:
        return await known_study(client)


def attacks(*, console: bool) -> list[tuple[str, str]]:
    """Return method and path of each route by which a study might be read, changed or listed."""
    return [
        (method, path)
        for method, path, _ in routes()
        if path.startswith("/console") is console
        and not (method == "POST" and path in SENDING)
        and path not in SESSION
    ]


def told(answer: httpx.Response, names: Secrets) -> tuple[int, str, str]:
    """Return what an answer tells, less the names that were asked for and the request's own id."""
    text = answer.content.decode("latin-1").replace(answer.headers["x-request-id"], "(request)")
    text = re.sub(r'name="csrf" value="[^"]*"', "", names.hidden(text))
    return answer.status_code, answer.headers.get("content-type", ""), text


async def compared(client: httpx.AsyncClient, attack: tuple[str, str], victim: Secrets) -> None:
    """Ask for the victim's study and for one that nobody has: the answers are the same."""
    method, path = attack
    nothing = Secrets.of_nothing()
    theirs = await client.request(method, victim.path(path))
    absent = await client.request(method, nothing.path(path))
    if path not in {"/metrics", "/console/live/numbers.json"}:
        assert told(theirs, victim) == told(absent, nothing), attack
    assert "SECRET" not in theirs.text, attack
    for answer in (theirs, absent):
        if "{" not in path:
            assert victim.hidden(answer.text) == answer.text, attack


async def left_alone(shared: Hospitals, victim: Secrets, before: Any) -> None:
    async with shared.client("south") as client:
        assert (await client.get(f"/v1/studies/{victim.study_id}")).json() == before
        [item] = (await client.get("/v1/parked")).json()["parked"]
        assert item["id"] == victim.parked_id


async def of(shared: Hospitals, victim: Secrets) -> Any:
    async with shared.client("south") as client:
        return (await client.get(f"/v1/studies/{victim.study_id}")).json()


async def test_by_no_route_does_a_key_learn_of_another_tenants_study(
    shared: Hospitals, victim: Secrets
):
    before = await of(shared, victim)
    async with shared.client("north") as client:
        for attack in attacks(console=False):
            await compared(client, attack, victim)
    await left_alone(shared, victim, before)


async def test_by_no_page_does_a_session_learn_of_another_tenants_study(
    shared: Hospitals, victim: Secrets
):
    before = await of(shared, victim)
    async with shared.signed_in("north") as client:
        for attack in attacks(console=True):
            await compared(client, attack, victim)
        page = await client.get("/console/queue")
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found is not None
        for act in ("retry", "discard"):
            form = {"csrf": found[1], "item": victim.parked_id}
            answer = await client.post(f"/console/queue/{act}", data=form)
            assert answer.headers["location"].endswith("done=0&failed=1")
    await left_alone(shared, victim, before)


async def test_the_same_routes_show_the_study_to_its_own_tenant(shared: Hospitals, victim: Secrets):
    for console in (False, True):
        opened = shared.signed_in("south") if console else shared.client("south")
        async with opened as client:
            for method, path in attacks(console=console):
                if method != "GET" or path in LACKING | OF_ALL:
                    continue
                answer = await client.get(victim.path(path))
                assert answer.status_code < 400, (path, answer.text)


async def test_who_has_no_tenant_sees_no_study_and_all_numbers(shared: Hospitals, victim: Secrets):
    open_to_all = {
        "/v1/models",
        VERSION,
        "/",
        "/docs",
        "/docs/start.js",
        "/livez",
        "/readyz",
        "/openapi.json",
    }
    async with shared.client("ops") as client:
        for method, path, _ in routes():
            if path.startswith("/console") or path in open_to_all | OF_ALL:
                continue
            if path == "/v1/events/s3":
                continue
            answer = await client.request(method, victim.path(path))
            assert answer.status_code == 403, (method, path)
            assert answer.json()["type"] == "urn:radstream:problem:tenancy", (method, path)
        assert (await client.get("/metrics")).is_success
        assert (await client.get("/v1/models")).is_success
    async with shared.signed_in("ops") as client:
        assert (await client.get("/console/live/numbers.json")).is_success
        assert (await client.get("/console/studies")).status_code == 403


async def test_numbers_of_all_are_no_tenants(shared: Hospitals):
    async with shared.client("north") as client:
        answer = await client.get("/metrics")
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:radstream:problem:tenancy")
    async with shared.signed_in("north") as client:
        assert (await client.get("/console/live/numbers.json")).status_code == 403
        assert 'href="/console/live"' not in (await client.get("/console/studies")).text


async def test_a_study_of_the_same_name_is_another_study(shared: Hospitals, victim: Secrets):
    """The attacker sends to the victim's study_id, with the very image and with another."""
    before = await of(shared, victim)
    theirs = radiograph(StudyInstanceUID=victim.study_instance_uid, PatientID="P-OTHER")
    async with shared.client("north") as client:
        answer = await client.post("/v1/studies", **multipart(None, file_of(theirs)))
        assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (200, None)
        assert [image["number"] for image in answer.json()["images"]] == [1]
        path = f"/dicomweb/studies/{victim.study_instance_uid}"
        another = radiograph(StudyInstanceUID=victim.study_instance_uid, PatientID="P-OTHER")
        assert (await stow(client, file_of(another), path=path)).status_code == 200
        await is_processed(client, victim.study_id, 2)
        async with shared.signed_in("north") as session:
            audit = await session.get(f"/console/studies/{victim.study_id}/audit")
            assert audit.is_success
            assert "north" in audit.text
            assert "south" not in audit.text
        assert (await client.delete(f"/v1/studies/{victim.study_id}")).status_code == 204
        assert (await client.get(f"/v1/studies/{victim.study_id}")).status_code == 410
    await left_alone(shared, victim, before)


async def test_the_same_image_is_no_ones_replay(shared: Hospitals):
    image = flat_png(201)
    for tenant in TENANTS:
        async with shared.client(tenant) as client:
            document = metadata(study_id="SAME-IMAGE", patient_id=f"P-{tenant}")
            first = await client.post("/v1/studies", **multipart(document, image))
            again = await client.post("/v1/studies", **multipart(document, image))
            assert first.json()["images"] == again.json()["images"]
            found = [answer.headers.get("idempotent-replayed") for answer in (first, again)]
            assert found == [None, "true"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(TENANTS),
        st.sampled_from(("send", "send", "read", "delete", "list")),
        st.integers(0, 1),  # of two studies
        st.integers(0, 2),  # of three images
    ),
    min_size=4,
    max_size=10,
)


@settings(max_examples=8, deadline=None)
@given(steps=STEPS)
async def test_no_sequence_of_acts_makes_one_tenant_see_what_another_did(
    shared: Hospitals, steps: list[tuple[str, str, int, int]]
):
    """What each tenant is answered follows from its own acts alone, under the same study_ids."""
    ids = [f"SEQ-{secrets.token_hex(6)}" for _ in range(2)]
    held: dict[str, dict[str, set[int]]] = {tenant: {} for tenant in TENANTS}
    gone: dict[str, set[str]] = {tenant: set() for tenant in TENANTS}
    for tenant, act, study, number in steps:
        own, study_id = held[tenant], ids[study]
        path = f"/v1/studies/{study_id}"
        known = own.get(study_id, set())
        expected = 200 if known else 410 if study_id in gone[tenant] else 404
        async with shared.client(tenant) as client:
            if act == "send" and study_id not in gone[tenant]:
                own[study_id] = known | {number}
                document = metadata(study_id=study_id, patient_id=f"P-{tenant}")
                sent = await client.post(
                    "/v1/studies", **multipart(document, flat_png(40 + number))
                )
                assert (sent.status_code, len(sent.json()["images"])) == (200, len(own[study_id]))
                assert ("idempotent-replayed" in sent.headers) is (number in known)
            elif act == "delete":
                answer = await client.delete(path)
                assert answer.status_code == (204 if expected == 200 else expected)
                if own.pop(study_id, None):
                    gone[tenant].add(study_id)
            elif act == "list":
                listed = {
                    item["study_id"] for item in (await client.get("/v1/studies")).json()["studies"]
                }
                assert listed.intersection(ids) <= own.keys() | gone[tenant]
            else:
                answer = await client.get(path)
                assert answer.status_code == expected
                if known:
                    assert len(answer.json()["images"]) == len(known)


async def test_every_object_lies_below_a_tenant(shared: Hospitals, victim: Secrets):
    assert victim.study_id
    store = shared.gateway.settings.store.folder
    roots = Counter(
        "/".join(path.split("/")[:2]) for path in files_in(store) if not path.startswith(".")
    )
    of_models = {root for root in roots if root.startswith(("monitoring/", "acceptances/"))}
    assert set(roots) - of_models <= {f"tenants/{tenant}" for tenant in TENANTS}


async def test_records_name_the_tenant(shared: Hospitals, victim: Secrets):
    async with shared.client("south") as client:
        await client.get(f"/v1/studies/{victim.study_id}")
    trail = audit_trail(shared.gateway.settings)
    of_victim = [item for item in trail if item.get("agent", {}).get("name") == "south"]
    assert {item["tenant"] for item in of_victim} == {"south"}
    work = [item for item in trail if item["operation"] == "pending study: read"]
    assert {item["tenant"] for item in work} <= set(TENANTS)
    assert work


async def test_dropped_files_go_to_the_tenant_of_their_folder(shared: Hospitals):
    drop = shared.gateway.settings.dropfolder.folder
    for folder in ("north-1", "south-1", "nobody-1"):
        (drop / folder).mkdir()
        (drop / folder / "x.png").write_bytes(flat_png(33))
        (drop / folder / "x.json").write_bytes(sidecar(folder))
    for tenant, other in (TENANTS, TENANTS[::-1]):
        async with shared.client(tenant) as client:

            async def has_come(client: httpx.AsyncClient = client, own: str = tenant) -> bool:
                return (await client.get(f"/v1/studies/{own}-1")).is_success

            await until(has_come)
            for folder in (f"{other}-1", "nobody-1"):
                assert (await client.get(f"/v1/studies/{folder}")).status_code == 404
    names = {
        study: item["tenant"]
        for item in audit_trail(shared.gateway.settings)
        if item["operation"] == "drop folder: deliver"
        for study in item["studies"]
    }
    assert {names[f"{tenant}-1"] for tenant in TENANTS} == set(TENANTS)
    assert names["north-1"] == "north"


async def test_instances_go_to_the_tenant_of_their_ae_title(shared: Hospitals):
    sent: dict[str, str] = {}
    for tenant in TENANTS:
        dataset = radiograph()
        sent[tenant] = dataset.StudyInstanceUID
        context = (dataset.SOPClassUID, "1.2.840.10008.1.2.1")
        port = shared.gateway.settings.dimse.port

        def send(title: str = tenant.upper(), port: int = port, **of: Any) -> int:
            with associated(port, of["context"], calling=title) as association:
                return int(c_store(association, of["dataset"]).Status)

        assert await asyncio.to_thread(send, context=context, dataset=dataset) == 0
    for tenant, other in (TENANTS, TENANTS[::-1]):
        async with shared.client(tenant) as client:
            await is_processed(client, sent[tenant], 1)
            answer = await client.get(f"/v1/studies/{sent[other]}")
            assert answer.status_code == 404


async def test_a_document_that_lets_a_wall_down_is_refused(shared: Hospitals, victim: Secrets):
    file = shared.gateway.settings.routing.file
    assert file is not None
    good = file.read_text()
    broken = json.loads(good)
    del broken["senders"][0]["tenant"]
    file.write_text(json.dumps(broken))
    async with shared.client("ops") as ops:

        async def is_valid(value: int) -> bool:
            text = (await ops.get("/metrics")).text
            return f"radstream_routing_file_valid {value}.0" in text

        await until(lambda: is_valid(0))
        async with shared.client("north") as client:
            assert (await client.get(f"/v1/studies/{victim.study_id}")).status_code in {404, 410}
            assert (await client.get("/v1/studies")).is_success
        file.write_text(good)
        await until(lambda: is_valid(1))

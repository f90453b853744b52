"""The shares of all processes come to what the settings say."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from gateway.app.workers.shares import share_of, with_shared_secrets
from gateway.settings import (
    AdmissionSettings,
    ConsoleSettings,
    HttpSettings,
    LimitSettings,
    Settings,
    TelemetrySettings,
    TenancySettings,
)


def settings_with(workers: int, **groups: object) -> Settings:
    return Settings.model_validate({"http": {"workers": workers}} | groups)


def test_amounts_are_divided_and_what_is_for_each_stays():
    whole = settings_with(
        4,
        limits=LimitSettings(image_threads=8),
        admission=AdmissionSettings(studies=64, bytes=2**30, background_share=0.5),
        tenancy={"gateways": 3},
    )
    shares = [share_of(whole, number) for number in range(1, 5)]
    for share in shares:
        assert share.limits.image_threads == 2
        assert share.admission.studies == 16
        assert share.admission.bytes == 2**28
        assert share.admission.background_share == 0.125
        assert share.http.connections == whole.http.connections // 4
        assert share.triton.shared_memory_bytes == whole.triton.shared_memory_bytes // 4
        assert share.shadow.share == whole.shadow.share / 4
        assert share.shadow.queue == whole.shadow.queue // 4
        assert share.telemetry.spool_bytes == whole.telemetry.spool_bytes // 4
        assert share.tenancy.gateways == 12
        assert share.limits.body_bytes == whole.limits.body_bytes
        assert share.http.port == whole.http.port
        assert share.store.folder == whole.store.folder
        assert share.audit == whole.audit
    spools = [share.telemetry.spool_folder for share in shares]
    assert spools[0] == whole.telemetry.spool_folder
    assert len(set(spools)) == 4


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_shares_of_a_number_come_to_it(count: int):
    whole = settings_with(
        count,
        limits=LimitSettings(image_threads=16),
        admission=AdmissionSettings(studies=128, bytes=2**30 + 1),
        shadow={"queue": 1000},
    )
    shares = [share_of(whole, number) for number in range(1, count + 1)]
    assert sum(share.limits.image_threads for share in shares) == 16
    assert sum(share.admission.studies for share in shares) == 128
    assert sum(share.admission.bytes for share in shares) == 2**30 + 1
    assert sum(share.http.connections for share in shares) == 512
    assert sum(share.shadow.queue for share in shares) == 1000


def test_one_answer_may_always_be_buffered():
    """Else a reader that is slower than the disk would never get a long one whole."""
    assert share_of(settings_with(8), 1).http.waiting_bytes == 64 * 2**20
    small = settings_with(8, http={"workers": 8, "waiting_bytes": 2**20})
    assert share_of(small, 1).http.waiting_bytes == 2**20
    large = settings_with(2, http={"workers": 2, "waiting_bytes": 2**30})
    assert share_of(large, 1).http.waiting_bytes == 2**29


def test_a_background_that_is_never_held_back_stays_so():
    for share, expected in ((1.0, 1.0), (0.5, 0.25)):
        whole = settings_with(2, admission=AdmissionSettings(background_share=share))
        assert share_of(whole, 1).admission.background_share == expected


def test_no_process_is_without_a_place():
    whole = settings_with(
        8, limits=LimitSettings(image_threads=3), admission=AdmissionSettings(studies=5)
    )
    share = share_of(whole, 8)
    assert (share.limits.image_threads, share.admission.studies) == (1, 2)


def test_each_process_must_have_room_for_a_body():
    admission = AdmissionSettings(bytes=4 * 2**20)
    limits = LimitSettings(body_bytes=2**20)
    assert settings_with(4, admission=admission, limits=limits)
    with pytest.raises(ValidationError, match=r"for each of http\.workers"):
        settings_with(5, admission=admission, limits=limits)


def test_keys_that_nobody_set_are_the_same_for_all(tmp_path: Path):
    for kind in ("file", "none"):
        telemetry = TelemetrySettings(kind=kind, spool_folder=tmp_path)  # type: ignore[arg-type]
        made = with_shared_secrets(settings_with(2, telemetry=telemetry))
        one, other = share_of(made, 1), share_of(made, 2)
        assert one.telemetry.study_ref_key is not None
        assert one.telemetry.study_ref_key == other.telemetry.study_ref_key
        assert one.console.session_keys == other.console.session_keys
        assert len(one.console.session_keys) == 1
        # What the validator of the settings takes, so that sessions can be sealed with it.
        ConsoleSettings(session_keys=one.console.session_keys)


def test_keys_that_were_set_stay():
    keys = (SecretStr("A" * 43 + "="),)
    telemetry = TelemetrySettings(kind="none", study_ref_key=SecretStr("mine"))
    settings = Settings(
        http=HttpSettings(workers=2),
        console=ConsoleSettings(session_keys=keys),
        telemetry=telemetry,
        tenancy=TenancySettings(),
    )
    made = with_shared_secrets(settings)
    assert made.console.session_keys == keys
    assert made.telemetry.study_ref_key == telemetry.study_ref_key

"""Puts together what is done after its sender was answered: pending studies, callbacks."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.deferred.owed_readings import AskAgain
from gateway.deferred.submissions import ProcessSubmission
from gateway.delivery.callbacks import Callbacks, CallbackStates, SendNotice
from gateway.delivery.webhook_client import webhooks
from gateway.problems import problem_of
from gateway.results.links import Links
from gateway.results.missing_readings import MissingReadingStates
from gateway.results.probe_studies import PROBES_KEPT_S, ProbeStudies
from gateway.results.retention import Retention
from gateway.storage.layout import CALLBACKS
from gateway.work.claims import CLOCK_SKEW_S, Claims
from gateway.work.documents import OwedReadings, PendingCallback, Submission
from gateway.work.entries import Entries
from gateway.work.parked_operations import ParkedWork
from gateway.work.periodic import Sweep, sweep_for_ever
from gateway.work.turns import StudyTurns
from gateway.work.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.processing import Processing
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.audit.trail import Audit
    from gateway.results.catalog import StudyCatalog
    from gateway.settings import Settings
    from gateway.work.parked_operations import ParkedOwner

# Pending studies under way at once: one is worked on while another is fetched and stored.
_STUDIES_A_THREAD = 2
_CALLBACKS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Backlogs:
    """The kinds of work, and who does them."""

    reader: Worker[Submission]
    notifier: Worker[PendingCallback]
    callbacks: Callbacks
    asker: Worker[OwedReadings]
    parked_owners: tuple[ParkedOwner, ...]


async def make_backlogs(
    context: LifespanContext, storage: StudyStorage, processing: Processing
) -> Backlogs:
    """Return the kinds of work, with their workers, which are yet to run."""
    states = CallbackStates(storage.results)
    notices, notifier = await _callbacks(context, storage, states)
    callbacks = Callbacks(notices, notifier, hosts=context.settings.callbacks.host_names())
    reader = _reader(context, storage, processing, callbacks)
    owed = MissingReadingStates(storage.documents)
    asker = _asker(context, storage, processing, owed)
    owners = (
        ParkedWork(storage.parking, processing.submissions, storage.submissions, reader),
        ParkedWork(storage.parking, notices, states, notifier),
        ParkedWork(storage.parking, processing.promises.entries, owed, asker),
        storage.held,
    )
    return Backlogs(reader, notifier, callbacks, asker, owners)


async def _callbacks(
    context: LifespanContext, storage: StudyStorage, states: CallbackStates
) -> tuple[Entries[PendingCallback], Worker[PendingCallback]]:
    options = context.settings.callbacks
    timeout_s = 2 * options.timeout_s
    notices = Entries(
        storage.objects,
        kind=CALLBACKS,
        document=PendingCallback,
        claims=Claims(lease_s=timeout_s + CLOCK_SKEW_S, presence=storage.presence),
    )
    sender = await context.stack.enter_async_context(
        webhooks(
            context=ssl.create_default_context(cafile=options.ca_file),
            private_addresses=options.private_addresses,
            timeout_s=options.timeout_s,
        )
    )
    secret = options.secret.get_secret_value() if options.secret else ""
    notifier = Worker(
        notices,
        states,
        SendNotice(
            sender,
            secret=secret,
            hosts=options.host_names(),
            metrics=context.metrics,
            links=Links(context.settings.http.path_prefix),
        ),
        parking=storage.parking,
        problem_of=problem_of,
        count=context.counting("callbacks", context.metrics.backlog.keep_callbacks),
        at_once=_CALLBACKS_AT_ONCE,
        timeout_s=timeout_s,
        sweep_s=context.settings.pending.sweep_s,
        give_up_s=options.give_up_s,
    )
    return notices, notifier


def _reader(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    callbacks: Callbacks,
) -> Worker[Submission]:
    settings = context.settings
    at_once = _STUDIES_A_THREAD * settings.limits.image_threads
    return Worker(
        processing.submissions,
        storage.submissions,
        ProcessSubmission(
            processing.images,
            studies=processing.studies,
            results=storage.results,
            callbacks=callbacks,
            completions=storage.completions,
            metrics=context.metrics,
            tracer=context.tracer,
        ),
        parking=storage.parking,
        problem_of=problem_of,
        count=context.counting("studies", context.metrics.backlog.keep_studies),
        at_once=at_once,
        turns=StudyTurns(at_once, processing.steps),
        timeout_s=settings.http.request_timeout_s,
        sweep_s=settings.pending.sweep_s,
        give_up_s=settings.pending.give_up_s,
    )


def _asker(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    states: MissingReadingStates,
) -> Worker[OwedReadings]:
    settings, gauge = context.settings, context.metrics.routing.owed_readings
    return Worker(
        processing.promises.entries,
        states,
        AskAgain(processing.studies, storage.results, storage.completions),
        parking=storage.parking,
        problem_of=problem_of,
        count=context.counting("owed readings", lambda came: gauge.set(len(came))),
        at_once=settings.limits.image_threads,
        timeout_s=settings.http.request_timeout_s,
        sweep_s=settings.pending.sweep_s,
        give_up_s=settings.pending.give_up_s,
    )


def backlog_work(
    settings: Settings,
    backlogs: Backlogs,
    studies: StudyCatalog,
    storage: StudyStorage,
    audit: Audit,
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    """Yield the background tasks of the backlogs and of deletion, each with its name."""
    yield "pending studies", backlogs.reader.run()
    yield "callbacks", backlogs.notifier.run()
    yield "owed readings", backlogs.asker.run()
    deletion, every_s = storage.deletion, settings.pending.sweep_s
    looks_s = min(every_s, settings.completion.quiet_s / 2)
    yield (
        "completion",
        sweep_for_ever(Sweep.COMPLETION, storage.completions, audit, looks_s),
    )
    yield "deletions", sweep_for_ever(Sweep.DELETIONS, deletion, audit, every_s)
    probes = ProbeStudies(studies, deletion, audit)
    yield "probes", sweep_for_ever(Sweep.PROBES, probes, audit, PROBES_KEPT_S)
    if settings.retention.study_days is not None:
        retention = Retention(studies, deletion, audit, days=settings.retention.study_days)
        every_s = settings.retention.sweep_s
        yield "retention", sweep_for_ever(Sweep.RETENTION, retention, audit, every_s)

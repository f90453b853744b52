"""An object store in memory, held to the same contract tests as the real ones."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from gateway.errors import ObjectNotFoundError, ObjectTooLargeError, StoreUnavailableError
from gateway.storage.keys import split_key, split_prefix
from gateway.storage.protocol import Reserve, Tagged


async def _let_others_run() -> None:
    await asyncio.sleep(0)


class MemoryStore:
    """The store that `results` is tested with where the order of its calls matters.

    Parameters
    ----------
    turn
        Awaited before each call takes effect.
    """

    def __init__(self, turn: Callable[[], Awaitable[None]] = _let_others_run) -> None:
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, dt.datetime] = {}
        self.calls: list[tuple[str, str]] = []
        self._turn = turn

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        del version_id
        await self._step("read", key)
        try:
            data = self.objects[key]
        except KeyError:
            raise ObjectNotFoundError from None
        if reserve is not None:
            await reserve(len(data))
        if limit_bytes is not None and len(data) > limit_bytes:
            raise ObjectTooLargeError(limit_bytes)
        return data

    async def read_tagged(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> Tagged:
        data = await self.read(key, limit_bytes=limit_bytes, version_id=version_id, reserve=reserve)
        return Tagged(data, _tag(data), self.times.get(key, dt.datetime.now(dt.UTC)))

    async def read_changed(
        self, key: str, *, tag: str | None, limit_bytes: int | None = None
    ) -> Tagged | None:
        found = await self.read_tagged(key, limit_bytes=limit_bytes)
        return None if found.tag == tag else found

    async def beginning(self, key: str, size: int, *, version_id: str | None = None) -> bytes:
        return (await self.read(key, version_id=version_id))[:size]

    async def written_at(self, key: str, *, version_id: str | None = None) -> dt.datetime:
        del version_id
        await self._step("written_at", key)
        if key not in self.objects:
            raise ObjectNotFoundError
        return self.times.get(key, dt.datetime.now(dt.UTC))

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        del media_type
        await self._step("create", key)
        if key in self.objects:
            return False
        self.objects[key] = bytes(data)
        return True

    async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
        del media_type
        await self._step("replace", key)
        self.objects[key] = bytes(data)

    async def swap(
        self, key: str, data: bytes | memoryview, *, tag: str | None, media_type: str
    ) -> str | None:
        del media_type
        await self._step("swap", key)
        found = self.objects.get(key)
        if found is None or found != data:
            if tag != (None if found is None else _tag(found)):
                return None
            self.objects[key] = bytes(data)
        return _tag(data)

    async def delete(self, key: str, *, tag: str | None = None) -> None:
        await self._step("delete", key)
        found = self.objects.get(key)
        if found is not None and tag in {None, _tag(found)}:
            del self.objects[key]

    async def purge(self, prefix: str, *, past_only: bool = False) -> bool:
        await self._step("purge", prefix)
        if past_only:
            return True
        for key in [key for key in self.objects if key.startswith(prefix)]:
            del self.objects[key]
        return True

    async def keys(self, prefix: str) -> Sequence[str]:
        await self._step("keys", prefix)
        return sorted(key for key in self.objects if key.startswith(prefix))

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        await self._step("folders", prefix)
        rests = [key.removeprefix(prefix) for key in self.objects if key.startswith(prefix)]
        found = {rest.partition("/")[0] + "/" for rest in rests if "/" in rest}
        beyond = [name for name in found if not after or name > f"{after}/"]
        return [name.removesuffix("/") for name in sorted(beyond)][:limit]

    async def _step(self, call: str, key: str) -> None:
        (split_prefix if call in {"keys", "folders", "purge"} else split_key)(key)
        await self._turn()
        self.calls.append((call, key))


def _tag(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


class AwayStore(MemoryStore):
    """A store that creates and swaps nothing while it is away."""

    is_away = False

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        self._check()
        return await super().create(key, data, media_type=media_type)

    async def swap(
        self, key: str, data: bytes | memoryview, *, tag: str | None, media_type: str
    ) -> str | None:
        self._check()
        return await super().swap(key, data, tag=tag, media_type=media_type)

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnavailableError("it is away")


class DiedError(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


class MortalStore(MemoryStore):
    """The view of the shared objects that a gateway has which dies before its nth call."""

    def __init__(self, objects: dict[str, bytes], dies_at: int) -> None:
        super().__init__(self._count)
        self.objects = objects
        self.died = asyncio.Event()
        self._left = dies_at

    async def kills(self, work: Coroutine[object, object, object]) -> bool:
        """Go on until the work ends or its gateway dies, of which nothing else is awaited."""
        under_way = asyncio.create_task(work), asyncio.create_task(self.died.wait())
        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        return self.died.is_set()

    async def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.died.set()
            raise DiedError

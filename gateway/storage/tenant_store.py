"""The part of an object store that belongs to one tenant, as a store of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.storage.layout import tenant_prefix

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gateway.storage.protocol import ObjectStore, Reserve, Tagged


class TenantStore:
    """View of a store in which every key lies below the tenant's prefix; see `ObjectStore`.

    Whoever has it can name no key of another tenant: a key is put behind the prefix whatever it
    says, and the store takes no part of a key that leads upwards.

    Parameters
    ----------
    objects
        The whole store.
    tenant
        Name of the tenant; None is nobody's part, in which nothing lies.
    """

    def __init__(self, objects: ObjectStore, tenant: str | None) -> None:
        self._objects = objects
        self._prefix = tenant_prefix(tenant)

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        """See `ObjectStore.read`."""
        return await self._objects.read(
            self._prefix + key, limit_bytes=limit_bytes, version_id=version_id, reserve=reserve
        )

    async def read_tagged(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> Tagged:
        """See `ObjectStore.read_tagged`."""
        return await self._objects.read_tagged(
            self._prefix + key, limit_bytes=limit_bytes, version_id=version_id, reserve=reserve
        )

    async def read_changed(
        self, key: str, *, tag: str | None, limit_bytes: int | None = None
    ) -> Tagged | None:
        """See `ObjectStore.read_changed`."""
        return await self._objects.read_changed(
            self._prefix + key, tag=tag, limit_bytes=limit_bytes
        )

    async def beginning(self, key: str, size: int, *, version_id: str | None = None) -> bytes:
        """See `ObjectStore.beginning`."""
        return await self._objects.beginning(self._prefix + key, size, version_id=version_id)

    async def written_at(self, key: str, *, version_id: str | None = None) -> dt.datetime:
        """See `ObjectStore.written_at`."""
        return await self._objects.written_at(self._prefix + key, version_id=version_id)

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        """See `ObjectStore.create`."""
        return await self._objects.create(self._prefix + key, data, media_type=media_type)

    async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
        """See `ObjectStore.replace`."""
        await self._objects.replace(self._prefix + key, data, media_type=media_type)

    async def swap(
        self, key: str, data: bytes | memoryview, *, tag: str | None, media_type: str
    ) -> str | None:
        """See `ObjectStore.swap`."""
        return await self._objects.swap(self._prefix + key, data, tag=tag, media_type=media_type)

    async def delete(self, key: str, *, tag: str | None = None) -> None:
        """See `ObjectStore.delete`."""
        await self._objects.delete(self._prefix + key, tag=tag)

    async def purge(self, prefix: str, *, past_only: bool = False) -> bool:
        """See `ObjectStore.purge`."""
        return await self._objects.purge(self._prefix + prefix, past_only=past_only)

    async def keys(self, prefix: str) -> Sequence[str]:
        """See `ObjectStore.keys`."""
        keys = await self._objects.keys(self._prefix + prefix)
        return [key.removeprefix(self._prefix) for key in keys]

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        """See `ObjectStore.folders`."""
        return await self._objects.folders(self._prefix + prefix, after=after, limit=limit)

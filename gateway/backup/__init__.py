"""Backups of a folder store while gateways use it; `gateway.backup.store` has their order."""

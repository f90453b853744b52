"""A sender by the bytes of PS3.7 and PS3.8: what no library sends, and much in little memory."""

import socket
import struct
from collections.abc import Iterable
from typing import Self

from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

VERIFICATION = "1.2.840.10008.1.1"
_PDV_BYTES = 60_000


def associate_request(
    abstract_syntax: str = VERIFICATION,
    transfer_syntax: str = ExplicitVRLittleEndian,
    *,
    called: str = "RADSTREAM",
    calling: str = "SCU",
) -> bytes:
    """An A-ASSOCIATE-RQ with one presentation context, of id 1 (PS3.8, 9.3.2)."""
    context = _item(0x30, abstract_syntax.encode()) + _item(0x40, transfer_syntax.encode())
    user = _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"1.2.3")
    body = struct.pack(">H2x16s16s32x", 1, _title(called), _title(calling))
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    body += _item(0x20, b"\x01\0\0\0" + context) + _item(0x50, user)
    return _pdu(0x01, body)


class WireSender:
    """A connection whose association is accepted, of one SOP class in one transfer syntax."""

    def __init__(
        self,
        port: int,
        transfer_syntax: str = ExplicitVRLittleEndian,
        sop_class_uid: str = SecondaryCaptureImageStorage,
    ) -> None:
        self._sop_class_uid = sop_class_uid
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(60)
        self.socket.sendall(associate_request(sop_class_uid, transfer_syntax))
        kind, _ = self.receive()
        assert kind == 0x02, f"PDU of type {kind}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def receive(self) -> tuple[int, bytes]:
        """Type and content of the next PDU."""
        kind, length = struct.unpack(">BxL", self._exactly(6))
        return kind, self._exactly(length)

    def begin(self, sop_instance_uid: str, message_id: int = 1) -> None:
        """Send the command set of a C-STORE (PS3.7, 9.3.1)."""
        command = b"".join(
            (
                _element(0x0002, _uid(self._sop_class_uid)),
                _element(0x0100, struct.pack("<H", 0x0001)),
                _element(0x0110, struct.pack("<H", message_id)),
                _element(0x0700, struct.pack("<H", 2)),
                _element(0x0800, struct.pack("<H", 0)),
                _element(0x1000, _uid(sop_instance_uid)),
            )
        )
        self._send_pdv(0x03, _element(0x0000, struct.pack("<L", len(command))) + command)

    def send(self, data: Iterable[bytes]) -> None:
        """Send parts of a data set that is not at its end."""
        for part in data:
            for start in range(0, len(part), _PDV_BYTES):
                self._send_pdv(0x00, part[start : start + _PDV_BYTES])

    def finish(self, data: bytes = b"") -> int:
        """Send the end of the data set, and return the status of the response."""
        self._send_pdv(0x02, data)
        kind, content = self.receive()
        assert kind == 0x04, f"PDU of type {kind}"
        at = content.index(struct.pack("<HHL", 0, 0x0900, 2))
        return int(struct.unpack_from("<H", content, at + 8)[0])

    def store(self, sop_instance_uid: str, data: bytes) -> int:
        """Return the status of the response to an instance."""
        self.begin(sop_instance_uid)
        return self.store_rest(data)

    def store_rest(self, data: bytes) -> int:
        """Send what is left of a data set, and return the status of the response."""
        self.send((data,))
        return self.finish()

    def release(self) -> None:
        """Release the association (PS3.8, 9.3.6)."""
        self.socket.sendall(_pdu(0x05, bytes(4)))
        kind, _ = self.receive()
        assert kind == 0x06, f"PDU of type {kind}"

    def _send_pdv(self, control: int, data: bytes) -> None:
        pdv = struct.pack(">LBB", len(data) + 2, 1, control) + data
        self.socket.sendall(_pdu(0x04, pdv))

    def _exactly(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            piece = self.socket.recv(count - len(received))
            if not piece:
                raise ConnectionResetError
            received += piece
        return bytes(received)


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def _item(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(data)) + data


def _title(title: str) -> bytes:
    return title.encode().ljust(16)


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, element, len(value)) + value


def _uid(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)

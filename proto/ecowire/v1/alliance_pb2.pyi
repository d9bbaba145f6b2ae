from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("hello", "welcome", "begin", "chunk", "ack")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    welcome: Welcome
    begin: Begin
    chunk: Chunk
    ack: Ack
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., begin: _Optional[_Union[Begin, _Mapping]] = ..., chunk: _Optional[_Union[Chunk, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "partner")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PARTNER_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    partner: str
    def __init__(self, protocol: _Optional[int] = ..., partner: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("alliance", "session")
    ALLIANCE_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    alliance: str
    session: str
    def __init__(self, alliance: _Optional[str] = ..., session: _Optional[str] = ...) -> None: ...

class Begin(_message.Message):
    __slots__ = ("id", "reply_to", "kind", "head", "size", "sha256", "body")
    ID_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    id: str
    reply_to: str
    kind: str
    head: bytes
    size: int
    sha256: bytes
    body: bytes
    def __init__(self, id: _Optional[str] = ..., reply_to: _Optional[str] = ..., kind: _Optional[str] = ..., head: _Optional[bytes] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., body: _Optional[bytes] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("id", "data")
    ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    id: str
    data: bytes
    def __init__(self, id: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("command", "head", "idempotency_key")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    command: str
    head: bytes
    idempotency_key: str
    def __init__(self, command: _Optional[str] = ..., head: _Optional[bytes] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("head", "data", "failure")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    head: bytes
    data: bytes
    failure: bool
    def __init__(self, head: _Optional[bytes] = ..., data: _Optional[bytes] = ..., failure: _Optional[bool] = ...) -> None: ...

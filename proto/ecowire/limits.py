"""Every limit of the wire, with its unit."""

PROTOCOL = 1
CHUNK_BYTES_MAX = 1 << 20
SMALL_BYTES_MAX = 64 << 10  # a body up to this travels in its message's first frame
HEAD_BYTES_MAX = 256 << 10
BODY_BYTES_MAX = 256 << 20
ID_BYTES_MAX = 200
UNARY_BYTES_MAX = 4 << 20
OPEN_BYTES_MAX = 288 << 20  # of all messages one stream has begun and not finished: one of full size and small ones
OPEN_MESSAGES_MAX = 64  # messages one stream may have begun and not finished
DEADLINE_SECONDS = 30
HANDSHAKE_MILLISECONDS = 3000

"""Free ports for peers, which import nothing of EcoHub."""

import socket


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free at the same moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()

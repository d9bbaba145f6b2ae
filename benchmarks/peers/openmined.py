"""openmined-psi: Diffie-Hellman over P-256, clients in memory, its messages over our connection.

The sender is its server, the receiver its client. The server's list goes as it is (RAW): the library's Bloom filters
and Golomb sets are smaller and can find clients who are not shared.
"""

import private_set_intersection.python as psi

from benchmarks.peers import channel
from benchmarks.peers.match import DIGITS, RECEIVER, Place, check_rows, clients

FALSE_POSITIVES = 2.0**-40  # asked for by its interface; RAW has none


class OpenMined:
    def __init__(self, place: Place) -> None:
        self._place = place
        numbers, self._marks = clients(place)
        self._clients = [f"{number:0{DIGITS}}" for number in numbers]
        self._rows: list[int] = []

    def connect(self) -> None:
        self._channel = channel.connect(self._place)

    def match(self) -> None:
        if self._place.rank == RECEIVER:
            self._receive()
        else:
            self._serve()
        self._channel.flush()

    def check(self) -> None:
        if self._place.rank == RECEIVER:
            check_rows(self._rows, self._marks)

    def close(self) -> None:
        self._channel.close()

    def _receive(self) -> None:
        client = psi.client.CreateWithNewKey(True)
        self._channel.post(client.CreateRequest(self._clients).SerializeToString())
        setup, response = psi.ServerSetup(), psi.Response()
        setup.ParseFromString(self._message())
        response.ParseFromString(self._message())
        self._rows = client.GetIntersection(setup, response)

    def _serve(self) -> None:
        server = psi.server.CreateWithNewKey(True)
        asking = self._place.sizes[RECEIVER]
        setup = server.CreateSetupMessage(FALSE_POSITIVES, asking, self._clients, psi.DataStructure.RAW)
        self._channel.post(setup.SerializeToString())
        request = psi.Request()
        request.ParseFromString(self._message())
        self._channel.post(server.ProcessRequest(request).SerializeToString())

    def _message(self) -> bytes:
        message = self._channel.next()
        assert message is not None
        return message


def side(place: Place) -> OpenMined:
    return OpenMined(place)

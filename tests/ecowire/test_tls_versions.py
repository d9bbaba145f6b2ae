"""gRPC reads its cipher list when it is imported: the wire room must be there first, whatever is imported after."""

import subprocess
import sys

import pytest

# each starts an enrolment-like server and tries a TLS 1.2 client; what differs is what was imported before
SCRIPT = """
{first}
import datetime, socket, ssl
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization as s
from cryptography.hazmat.primitives.asymmetric import ec
from ecowire import channel
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
now = datetime.datetime.now(datetime.timezone.utc)
made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        .sign(key, hashes.SHA256()))
pem = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
server = channel.server(2)
port = server.add_secure_port("127.0.0.1:0", channel.server_credentials(pem, made.public_bytes(s.Encoding.PEM), None))
server.start()
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5)) as connection:
            print(connection.version())
    except ssl.SSLError:
        print("refused")
server.stop(None)
"""


def run(first: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(first=first)],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "first", ["", "import ecowire.status", "import hub.cli", "import partner_node.rpc", "import hub.rpc.dial"]
)
def test_tls_1_2_is_refused_whatever_is_imported_first(first: str) -> None:
    assert run(first).stdout.split() == ["refused", "TLSv1.3"]


def test_credentials_are_not_made_where_grpc_came_first() -> None:
    done = run("import grpc")
    assert done.stdout == ""
    assert "import ecowire first" in done.stderr

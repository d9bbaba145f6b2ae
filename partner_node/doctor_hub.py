"""What `ecohub doctor` checks on the way to the hub: an own TLS handshake, and the hub's answer to a hello.

gRPC hides why a handshake failed, so this uses `ssl` directly: it tells a hub that is not there from one whose
certificate is not the alliance's, one that refuses ours, and one that can't do TLS 1.3. TLS 1.2 must be refused.
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ecowire import status
from partner_node import rpc
from partner_node.doctor_checks import Finding, failed, ok, warning
from partner_node.rpc import Identity
from privacy.errors import Failure

SECONDS = 5.0
REFUSAL_SECONDS = 1.0  # TLS 1.3 servers tell of a refused client certificate only after the client's side is done

# code -> what to do (en, zh); the hub's own sentence comes before it
REMEDIES = {
    "CERTIFICATE_UNKNOWN": (
        "the hub has no record of this certificate: enrol with a new invite",
        "枢纽没有该证书的记录：请凭新邀请码准入",
    ),
    "CERTIFICATE_REVOKED": (
        "the operator withdrew this certificate: ask why, then enrol with a new invite",
        "运营方已吊销该证书：请询问原因后凭新邀请码准入",
    ),
    "CERTIFICATE_EXPIRED": ("enrol again with a new invite", "请凭新邀请码重新准入"),
    "CERTIFICATE_OF_OTHER_PARTNER": (
        "this node shows another partner's certificate: put its own tls.key and tls.pem back, or enrol",
        "本节点出示了其他伙伴的证书：请放回自己的 tls.key 与 tls.pem，或重新准入",
    ),
    "ROLE_NOT_ALLOWED": (
        "this is a person's certificate: a node needs the one it got by `ecohub partner enrol`",
        "这是人员证书：节点须使用 `ecohub partner enrol` 获得的证书",
    ),
    "TLS_TOO_OLD": (
        "something between here and the hub ends TLS or forces 1.2: connect without it",
        "本机与枢纽之间有设备终止了 TLS 或强制使用 1.2：请绕过该设备",
    ),
    "PROTOCOL_UNSUPPORTED": (
        "install the version of this program that the hub runs",
        "请安装与枢纽一致的程序版本",
    ),
    "STREAM_SUPERSEDED": (
        "a second process runs with this node's certificate: stop one of them",
        "另有进程使用本节点证书：请停止其中之一",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Address and PEM files for a handshake."""

    address: str
    authority: Path
    key: Path
    certificate: Path


def handshake(files: Files) -> Finding:
    """A TLS 1.3 handshake with the hub port, showing our certificate."""
    name = "TLS 1.3"
    try:
        with _connect(files, ssl.TLSVersion.TLSv1_3) as connection:
            version = connection.version() or ""
            if _hung_up(connection):
                return _refused(name, "")
    except ssl.SSLCertVerificationError as error:
        code, en, zh = _of_hub_certificate(error)
        return failed(name, code, en, zh)
    except ssl.SSLError as error:
        return _refused(name, error.reason or str(error))
    except (OSError, ValueError) as error:
        return _unreachable(name, files.address, error)
    return ok(name, f"{version} with the hub's certificate of our authority", f"{version}，枢纽证书由联盟 CA 签发")


def old_tls(files: Files) -> Finding:
    """The hub port must refuse TLS 1.2."""
    name = "TLS 1.2 refused"
    try:
        with _connect(files, ssl.TLSVersion.TLSv1_2) as connection:
            version = connection.version() or ""
    except ssl.SSLError:
        return ok(name, "the hub port takes nothing older than TLS 1.3", "枢纽端口拒绝 TLS 1.3 以下版本")
    except (OSError, ValueError) as error:
        return _unreachable(name, files.address, error)
    en = f"{files.address} accepted {version}: {REMEDIES['TLS_TOO_OLD'][0]}, and tell the operator"
    return failed(
        name, "TLS_TOO_OLD", en, f"{files.address} 接受了 {version}：{REMEDIES['TLS_TOO_OLD'][1]}，并告知运营方"
    )


def hello(identity: Identity) -> Finding:
    """The hub's answer to a hello under this node's certificate."""
    return explained("hello", lambda: rpc.hello(identity, timeout_seconds=SECONDS))


def explained(name: str, ask: Callable[[], str]) -> Finding:
    """Ask the hub; its welcome, or its refusal with the remedy. `ask` gives the alliance's name."""
    try:
        alliance = ask()
    except Failure as failure:
        return of_refusal(name, failure)
    return ok(name, f"the hub of {alliance} welcomes this certificate", f"{alliance} 枢纽接受该证书")


def of_refusal(name: str, failure: Failure) -> Finding:
    """A refusal under its code, with the remedy where the code is known."""
    code = status.code_of(failure)
    remedy = REMEDIES.get(code, ("", ""))
    en, zh = failure.message("en"), failure.message("zh")
    return failed(name, code, f"{en}; {remedy[0]}" if remedy[0] else en, f"{zh}；{remedy[1]}" if remedy[1] else zh)


def running(state: dict[str, object]) -> Finding:
    """The link of a running node, as its own socket tells it: a second hello would take its stream away."""
    if state["connected"]:
        return ok("hello", "the running node is connected", "运行中的节点已连接")
    head = state["failure"]
    if not isinstance(head, dict):
        return warning("hello", "NOT_CONNECTED", "the running node is not connected yet", "运行中的节点尚未连接")
    return of_refusal("hello", status.from_head(head))


def _connect(files: Files, version: ssl.TLSVersion) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(files.authority)
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["h2"])
    host, _, port = files.address.rpartition(":")
    raw = socket.create_connection((host, int(port)), timeout=SECONDS)
    try:
        return context.wrap_socket(raw, server_hostname=rpc.SERVER_NAME)
    except BaseException:
        raw.close()
        raise


def _hung_up(connection: ssl.SSLSocket) -> bool:
    """Whether the server ended the connection right after the handshake; raises the ssl.SSLError of its alert."""
    connection.settimeout(REFUSAL_SECONDS)
    try:
        return not connection.recv(1)  # a hub that accepts us begins to speak HTTP/2 at once
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def _of_hub_certificate(error: ssl.SSLCertVerificationError) -> tuple[str, str, str]:
    """(code, en, zh) of why the hub's certificate does not hold here."""
    reason = error.verify_message
    if "expired" in reason:
        return (
            "HUB_CERTIFICATE_EXPIRED",
            "the hub's certificate has expired (or this clock is ahead): tell the operator",
            "枢纽证书已过期（或本机时钟偏快）：请告知运营方",
        )
    if "not yet valid" in reason:
        return (
            "CLOCK_BEHIND",
            "the hub's certificate is not valid yet: this machine's clock is behind; set it by NTP",
            "枢纽证书尚未生效：本机时钟偏慢，请用 NTP 校时",
        )
    return (
        "HUB_CERTIFICATE_NOT_OURS",
        f"the other side's certificate is not the alliance hub's ({reason}): is the address right? don't go on",
        f"对方证书并非联盟枢纽证书（{reason}）：请核对地址，不要继续",
    )


def _refused(name: str, alert: str) -> Finding:
    """`alert`: OpenSSL's word for the server's alert (RFC 8446 section 6.2); empty where it just hung up."""
    reason = alert.upper()
    if "CERTIFICATE_EXPIRED" in reason:
        return failed(name, "CERTIFICATE_EXPIRED", *REMEDIES["CERTIFICATE_EXPIRED"])
    if "PROTOCOL" in reason or "VERSION" in reason:
        return failed(name, "TLS_TOO_OLD", *REMEDIES["TLS_TOO_OLD"])
    en = "the hub ends the handshake at this certificate: it is expired, damaged, or of another authority; see above"
    zh = "枢纽在收到该证书后中止握手：证书已到期、损坏或签发机构不符；请查看上方证书检查结果"
    return failed(name, "CERTIFICATE_NOT_ACCEPTED", f"{en} ({alert})" if alert else en, zh)


def _unreachable(name: str, address: str, error: Exception) -> Finding:
    en = f"nothing answers at {address} ({type(error).__name__}): is the hub running, the address and firewall right?"
    return failed(name, "HUB_UNREACHABLE", en, f"{address} 无应答（{type(error).__name__}）：请检查枢纽、地址与防火墙")

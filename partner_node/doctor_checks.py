"""What `ecohub doctor` checks on this machine: program, settings, key files, database, certificate, sources, clock.

Every check gives a `Finding`; none raises for what it finds. Texts never hold a key or a client's data.
"""

import sqlite3
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from importlib import metadata
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from partner_node import keys, result_files, times
from partner_node.settings import Settings
from partner_node.tables import SCHEMA_VERSION
from privacy.errors import Failure

PYTHON_MIN = (3, 11)
EXPIRY_WARNING = timedelta(days=14)
SKEW_WARNING = timedelta(seconds=60)
PACKAGE = "ecohub"


class State(Enum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's outcome. `code` is "OK", or what to look up; the texts end with the remedy."""

    check: str
    state: State
    code: str
    en: str
    zh: str

    def text(self, lang: str) -> str:
        return self.zh if lang == "zh" else self.en


def ok(check: str, en: str, zh: str) -> Finding:
    return Finding(check=check, state=State.OK, code="OK", en=en, zh=zh)


def failed(check: str, code: str, en: str, zh: str) -> Finding:
    return Finding(check=check, state=State.FAILED, code=code, en=en, zh=zh)


def warning(check: str, code: str, en: str, zh: str) -> Finding:
    return Finding(check=check, state=State.WARNING, code=code, en=en, zh=zh)


def of_failure(check: str, failure: Failure) -> Finding:
    """A finding of an expected failure, under its own code and texts."""
    return failed(check, failure.code, failure.message("en"), failure.message("zh"))


def attempt(check: str, examine: Callable[[], Finding]) -> Finding:
    """`examine`, or the finding of the failure it raises."""
    try:
        return examine()
    except Failure as failure:
        return of_failure(check, failure)


def program() -> Iterator[Finding]:
    """Python, and each dependency's version against what the package asks for."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= PYTHON_MIN:
        yield ok("python", f"Python {version}", f"Python {version}")
    else:
        need = ".".join(map(str, PYTHON_MIN))
        yield failed(
            "python", "PYTHON_TOO_OLD", f"Python {version}: install {need} or newer", f"请安装 {need} 以上版本"
        )
    try:
        asked = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        yield warning(
            "dependencies",
            "NOT_INSTALLED",
            f"{PACKAGE} runs from its source folder: versions of dependencies can't be checked; pip install it",
            f"{PACKAGE} 从源码目录运行，无法核对依赖版本；请用 pip 安装",
        )
        return
    yield from dependencies(asked, metadata.version)


def dependencies(asked: Iterable[str], installed: Callable[[str], str]) -> Iterator[Finding]:
    """Findings for requirement lines like "grpcio<2,>=1.81.1"; optional extras (after ";") are left out."""
    wrong = 0
    for line in asked:
        if ";" in line:
            continue
        cut = min((line.index(c) for c in "<>=! " if c in line), default=len(line))
        name, wanted = line[:cut].partition("[")[0], line[cut:].strip()
        try:
            found = installed(name)
        except metadata.PackageNotFoundError:
            found = ""
        if found and all(_holds(found, clause) for clause in wanted.split(",") if clause):
            continue
        wrong += 1
        yield failed(
            f"dependency {name}",
            "DEPENDENCY_DIFFERS",
            f"{name} {found or 'is missing'}: {wanted} is needed; install from the lock file in requirements/",
            f"{name} {found or '缺失'}：需要 {wanted}；请按 requirements/ 锁定文件安装",
        )
    if not wrong:
        yield ok("dependencies", "all versions fit", "依赖版本均符合")


def key_files(settings: Settings) -> Iterator[Finding]:
    """Each private key is there, well-formed, and readable by its owner only."""
    folder = settings.keys
    if folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        en = f"{folder} is open to others: run `chmod 700 {folder}`"
        yield failed("key folder", "KEY_FOLDER_OPEN", en, f"{folder} 对他人开放：请运行 `chmod 700 {folder}`")

    def load() -> Finding:
        keys.load(folder)
        return ok("key files", f"the keys in {folder} are whole and private", f"{folder} 中的密钥完整且权限正确")

    yield attempt("key files", load)


def certificate(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Own certificate: of our authority, for this partner and key, valid now and for a while."""
    try:
        own = x509.load_pem_x509_certificate(keys.certificate(settings.keys))
        authority = x509.load_pem_x509_certificate(settings.authority.read_bytes())
        tls = keys.read_secret(settings.keys / "tls.key")
    except Failure as failure:
        yield of_failure("certificate", failure)
        return
    except (OSError, ValueError) as error:
        what = f"the certificate or {settings.authority} can't be read ({type(error).__name__})"
        en = f"{what}: restore it, or enrol again"
        yield failed("certificate", "CERTIFICATE_UNREADABLE", en, "证书或 CA 文件无法读取：请恢复，或重新准入")
        return
    wrong = [*certificate_of(own, authority, now), *_holder(own, tls, settings)]
    yield from wrong
    if not wrong:  # dates alone make no certificate good
        until = times.to_text(own.not_valid_after_utc)
        yield ok("certificate", f"valid until {until}", f"有效期至 {until}")


def _holder(own: x509.Certificate, tls: bytes, settings: Settings) -> Iterator[Finding]:
    """What is wrong with whose certificate it is."""
    name, role = _subject(own, NameOID.COMMON_NAME), _subject(own, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if name != settings.partner:
        en = f"the certificate is that of {name}, this node is {settings.partner}: restore the right tls.pem, or enrol"
        zh = f"证书属于 {name}，本节点为 {settings.partner}：请放回正确的 tls.pem 或重新准入"
        yield failed("certificate", "CERTIFICATE_OF_OTHER_PARTNER", en, zh)
    if role != "node":
        en = f"the certificate has the role {role}: a node needs its own; enrol with an invite"
        yield failed("certificate", "ROLE_NOT_ALLOWED", en, f"证书角色为 {role}：节点需要节点证书，请凭邀请码准入")
    if _public(own) != serialization.load_pem_private_key(tls, None).public_key().public_bytes(*_SPKI):
        en = "the certificate is not for the key in tls.key: restore the pair from one backup, or enrol again"
        yield failed(
            "certificate", "CERTIFICATE_OF_OTHER_KEY", en, "证书与 tls.key 不匹配：请从同一备份恢复，或重新准入"
        )


def certificate_of(own: x509.Certificate, authority: x509.Certificate, now: datetime) -> Iterator[Finding]:
    """What is wrong with dates and issuer of a certificate."""
    until = times.to_text(own.not_valid_after_utc)
    try:
        own.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        issuer = _subject_of(own.issuer, NameOID.COMMON_NAME) or own.issuer.rfc4514_string()
        en = f"the certificate is not of the alliance's authority but of {issuer}: the hub refuses it; enrol again"
        zh = f"证书并非由联盟 CA 签发，而是 {issuer}：枢纽会拒绝；请重新准入"
        yield failed("certificate", "CERTIFICATE_OF_OTHER_AUTHORITY", en, zh)
    if now >= own.not_valid_after_utc:
        en = f"the certificate expired at {until}: enrol again with a new invite"
        yield failed("certificate", "CERTIFICATE_EXPIRED", en, f"证书已于 {until} 到期：请凭新邀请码重新准入")
    elif now < own.not_valid_before_utc:
        since = times.to_text(own.not_valid_before_utc)
        en = f"the certificate is valid from {since} only: this machine's clock is behind; set it by NTP"
        yield failed("certificate", "CLOCK_BEHIND", en, f"证书自 {since} 起有效：本机时钟偏慢，请用 NTP 校时")
    elif own.not_valid_after_utc - now < EXPIRY_WARNING:
        en = f"the certificate expires at {until}: run `ecohub partner renew`, then restart the node"
        zh = f"证书将于 {until} 到期：请运行 `ecohub partner renew` 并重启节点"
        yield warning("certificate", "CERTIFICATE_EXPIRES_SOON", en, zh)


def database(settings: Settings) -> Finding:
    """The node's database opens, is whole, and has this program's schema. Opened read-only."""
    path = settings.database
    if not path.exists():
        return warning("database", "NOT_STARTED", f"{path} appears at the first start", f"{path} 将在首次启动时创建")
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            (whole,) = connection.execute("PRAGMA quick_check").fetchone()
            (version,) = connection.execute("SELECT version FROM schema WHERE id = 1").fetchone()
        connection.close()
    except (sqlite3.DatabaseError, TypeError) as error:
        whole, version = type(error).__name__, SCHEMA_VERSION
    if whole != "ok":
        en = f"{path} is damaged ({whole[:80]}): stop the node and restore the file from a backup"
        return failed("database", "DATABASE_DAMAGED", en, f"{path} 已损坏：请停止节点并从备份恢复")
    if version > SCHEMA_VERSION:
        en = f"{path} has schema {version}, this program needs {SCHEMA_VERSION}"
        return failed("database", "NODE_STORE_OTHER_VERSION", en, f"{path} 结构版本 {version}，需要 {SCHEMA_VERSION}")
    return ok("database", f"{path} is whole", f"{path} 完好")


def sources(settings: Settings) -> Iterator[Finding]:
    """Each asset's file is there. Its content is the business of `ecohub partner check-data`."""
    for asset in settings.assets:
        name = f"asset {asset.name}"
        if "://" in asset.source or Path(asset.source).is_file():
            yield ok(name, "its source is named and there", "数据源存在")
        else:
            en = f"no file {asset.source}: correct source in {settings.folder}'s settings"
            yield failed(name, "SOURCE_MISSING", en, f"文件 {asset.source} 不存在：请更正配置中的 source")


def results(settings: Settings) -> Finding:
    """A file can be written where runs leave their results."""
    if not settings.folder.is_dir():
        en, zh = (
            f"{settings.folder} appears with `ecohub partner init`",
            f"{settings.folder} 由 `ecohub partner init` 创建",
        )
        return warning("results", "NOT_STARTED", en, zh)

    def probe() -> Finding:
        result_files.check(settings.results)
        return ok("results", f"{settings.results} can be written", f"{settings.results} 可写")

    return attempt("results", probe)


def skew(pairs: Sequence[tuple[datetime, datetime]]) -> Finding:
    """This machine's clock against the hub's signed times: pairs of (the hub's time, when it came in here).

    Transport only makes an arrival later, so the smallest difference is closest to the truth.
    """
    if not pairs:
        return warning(
            "clock",
            "CLOCK_NOT_MEASURED",
            "no receipt of the hub to compare with yet: publish something first",
            "尚无枢纽回执可供比对：请先发布数据资产",
        )
    difference = min((here - there for there, here in pairs), key=abs)
    seconds = round(difference.total_seconds())
    if abs(difference) <= SKEW_WARNING:
        return ok("clock", f"within {abs(seconds)} s of the hub's", f"与枢纽时钟相差 {abs(seconds)} 秒以内")
    direction = ("ahead", "偏快") if seconds > 0 else ("behind", "偏慢")
    en = f"this machine's clock is {abs(seconds)} s {direction[0]}: set it by NTP"
    return failed("clock", "CLOCK_SKEW", en, f"本机时钟{direction[1]} {abs(seconds)} 秒：请用 NTP 校时")


_SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(*_SPKI)


def _subject(certificate: x509.Certificate, name: x509.ObjectIdentifier) -> str:
    return _subject_of(certificate.subject, name)


def _subject_of(subject: x509.Name, name: x509.ObjectIdentifier) -> str:
    found = subject.get_attributes_for_oid(name)
    return str(found[0].value) if found else ""


def _holds(found: str, clause: str) -> bool:
    """Whether a version fits one clause; numbers only, as our requirements are written."""
    operator = clause.strip().rstrip("0123456789.abrc")
    have, want = _numbers(found), _numbers(clause.strip()[len(operator) :])
    width = max(len(have), len(want))
    have, want = have + (0,) * (width - len(have)), want + (0,) * (width - len(want))
    return {"==": have == want, ">=": have >= want, "<": have < want, "<=": have <= want, ">": have > want}[operator]


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("+")[0].split(".")
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in parts)

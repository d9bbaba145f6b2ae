"""Bank files of tests: camt.053 in both versions, with balances that tie out unless a test says otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001."
IBAN = "DE89370400440532013000"
CREDITOR = "GB82WEST12345698765432"


@dataclass(frozen=True, kw_only=True)
class Booked:
    """One entry as the bank writes it; amounts in minor units of a currency with two decimals."""

    minor: int
    side: str = "DBIT"
    reference: str = "NOTPROVIDED"
    bank_reference: str = "BANKREF-1"
    booked: str = "2026-11-12"
    account: str = CREDITOR
    name: str = "Platform A"
    currency: str = "CNY"
    reversal: bool = False
    return_reason: str = ""
    status: str = "BOOK"
    text: str = ""
    charge: int = 0  # kept by the bank, said to be in the amount
    charges: str = ""  # elements in place of those of `charge`
    parts: tuple[tuple[str, int], ...] = ()  # (EndToEndId, minor units) of the payments in a batch


def units(minor: int) -> str:
    return f"{abs(minor) // 100}.{abs(minor) % 100:02}"


def camt(
    entries: Sequence[Booked],
    *,
    version: str = "08",
    opening: int = 1_000_000,
    closing: int | None = None,
    currency: str = "CNY",
    account: str = IBAN,
    summary: bool = True,
    name: str = "STMT-1",
) -> bytes:
    """A camt.053 file of one statement."""
    booked = [entry for entry in entries if entry.status == "BOOK"]
    signed = sum(entry.minor if entry.side == "CRDT" else -entry.minor for entry in booked)
    end = opening + signed if closing is None else closing
    total = (
        f"<TxsSummry><TtlNtries><NbOfNtries>{len(booked)}</NbOfNtries><Sum>{units(sum(e.minor for e in booked))}</Sum>"
        "</TtlNtries></TxsSummry>"
        if summary and len(booked) == len(entries)
        else ""
    )
    body = "".join(entry_of(entry, version) for entry in entries)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{NAMESPACE}{version}">'
        "<BkToCstmrStmt><GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-11-13T06:00:00+08:00</CreDtTm></GrpHdr>\n"
        f"<Stmt><Id>{name}</Id><Acct><Id>{account_id(account)}</Id><Ccy>{currency}</Ccy></Acct>"
        f"{balance('OPBD', opening, currency)}{balance('CLBD', end, currency)}{total}\n"
        f"{body}</Stmt></BkToCstmrStmt></Document>\n"
    ).encode()


def balance(kind: str, minor: int, currency: str) -> str:
    side = "DBIT" if minor < 0 else "CRDT"
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{units(minor)}</Amt>'
        f"<CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>2026-11-12</Dt></Dt></Bal>"
    )


def account_id(account: str) -> str:
    return f"<IBAN>{account}</IBAN>" if account[:2].isalpha() else f"<Othr><Id>{account}</Id></Othr>"


def entry_of(entry: Booked, version: str) -> str:
    status = f"<Sts><Cd>{entry.status}</Cd></Sts>" if version == "08" else f"<Sts>{entry.status}</Sts>"
    reversal = "<RvslInd>true</RvslInd>" if entry.reversal else ""
    parts = entry.parts or ((entry.reference, entry.minor),)
    batch = f"<Btch><NbOfTxs>{len(parts)}</NbOfTxs></Btch>" if entry.parts else ""
    details = "".join(detail(entry, reference, minor, version) for reference, minor in parts)
    return (
        f'<Ntry><Amt Ccy="{entry.currency}">{units(entry.minor)}</Amt><CdtDbtInd>{entry.side}</CdtDbtInd>'
        f"{reversal}{status}"
        f"<BookgDt><Dt>{entry.booked}</Dt></BookgDt><ValDt><Dt>{entry.booked}</Dt></ValDt>"
        f"<AcctSvcrRef>{entry.bank_reference}</AcctSvcrRef><BkTxCd/>{charged(entry, version)}"
        f"<NtryDtls>{batch}{details}</NtryDtls></Ntry>\n"
    )


def charged(entry: Booked, version: str) -> str:
    money = f'<Amt Ccy="{entry.currency}">{units(entry.charge)}</Amt><CdtDbtInd>DBIT</CdtDbtInd>'
    if entry.charges or not entry.charge:
        return entry.charges
    if version == "02":
        return f"<Chrgs>{money}</Chrgs>"
    return f"<Chrgs><Rcrd>{money}<ChrgInclInd>true</ChrgInclInd></Rcrd></Chrgs>"


def detail(entry: Booked, reference: str, minor: int, version: str) -> str:
    money = f'<Amt Ccy="{entry.currency}">{units(minor)}</Amt>'
    told = (
        f"{money}<CdtDbtInd>{entry.side}</CdtDbtInd>"
        if version == "08"
        else f"<AmtDtls><TxAmt>{money}</TxAmt></AmtDtls>"
    )
    party = "Cdtr" if entry.side == "DBIT" else "Dbtr"
    named = f"<Pty><Nm>{entry.name}</Nm></Pty>" if version == "08" else f"<Nm>{entry.name}</Nm>"
    known = (
        f"<{party}Acct><Id>{account_id(entry.account)}</Id></{party}Acct>" if entry.account and not entry.parts else ""
    )
    parties = "" if entry.parts else f"<RltdPties><{party}>{named}</{party}>{known}</RltdPties>"
    note = f"<RmtInf><Ustrd>{entry.text}</Ustrd></RmtInf>" if entry.text else ""
    back = f"<RtrInf><Rsn><Cd>{entry.return_reason}</Cd></Rsn></RtrInf>" if entry.return_reason else ""
    return f"<TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs>{told}{parties}{note}{back}</TxDtls>"

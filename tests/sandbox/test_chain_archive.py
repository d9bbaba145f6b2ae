"""Export and import: what comes out is what went in, and nothing that does not reproduce becomes a ledger."""

import hashlib
import json
import signal
import subprocess
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import rlp

from contracts.errors import BlockInvalid
from ecowire.outputs import OutputExists, OutputNotWritable
from privacy.errors import Failure
from sandbox.chain import archive, errors, genesis
from sandbox.chain import store as store_module
from sandbox.chain.admission import admit
from sandbox.chain.evm import Ledger
from sandbox.chain.hexes import data
from sandbox.chain.restore import restore
from sandbox.chain.sequencer import CLOCK_OFFSET
from sandbox.chain.serve import GENESIS as GENESIS_FILE
from sandbox.chain.serve import LEDGER, opened, reading
from sandbox.chain.store import Store
from sandbox.chain.verify import verify
from tests.support.sandbox_chain import GENESIS, KEYS, START, command, environment, keeper_story, run, until, wishes

WORDS = [7, 0, 7, 2**256 - 1, 5]


def grown(folder: Path, *, begun: genesis.Genesis = GENESIS, blocks: int = 0) -> Path:
    """A folder with a ledger: the keeper's story in blocks of two, an empty block, then plain ones."""
    folder.mkdir(parents=True, exist_ok=True)
    genesis.write(begun, folder / GENESIS_FILE)
    with opened(folder) as ledger:
        _, raws = keeper_story(WORDS)
        for i in range(0, len(raws), 2):
            seal(ledger, raws[i : i + 2])
        seal(ledger, [])
        for raw in wishes(blocks, key=KEYS["broker"]):
            seal(ledger, [raw])
        ledger.store.set_meta(CLOCK_OFFSET, "86400")
    return folder


def seal(ledger: Ledger, raws: list[bytes]) -> None:
    batch = [(raw, admit(raw, ledger.genesis)) for raw in raws]
    assert not any(ledger.seal(batch, ledger.head().timestamp + 3))


def exported(folder: Path, out: Path) -> Path:
    with reading(folder) as (store, begun):
        archive.write(store, begun, out)
    return out


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grown(tmp_path_factory.mktemp("chain") / "source")


@pytest.fixture(scope="module")
def file(source: Path) -> Path:
    return exported(source, source.parent / "chain.jsonl")


def rows(folder: Path) -> object:
    store = Store(folder / LEDGER, read_only=True)
    try:
        head = store.head()
        assert head is not None
        numbers = range(head.number + 1)
        blocks = [(store.block(n), store.txs(n), store.block_logs(n)) for n in numbers]
        return blocks, list(store.data_rows()), store.meta(CLOCK_OFFSET), store.meta("genesis")
    finally:
        store.close()


# --- there and back ---------------------------------------------------------------------------------------------------


def test_an_imported_ledger_is_the_exported_one_to_the_last_row(source: Path, file: Path, tmp_path: Path) -> None:
    made = restore(file, tmp_path / "again")
    assert rows(tmp_path / "again") == rows(source)
    assert genesis.read(tmp_path / "again" / GENESIS_FILE) == GENESIS
    with opened(tmp_path / "again") as ledger:
        assert verify(ledger).blocks == made.blocks
        assert ledger.head().hash == made.head
        seal(ledger, [wishes(1, first=len(WORDS) + 1)[0]])


def test_an_export_of_an_import_is_the_same_file(file: Path, tmp_path: Path) -> None:
    restore(file, tmp_path / "again")
    assert exported(tmp_path / "again", tmp_path / "second.jsonl").read_bytes() == file.read_bytes()


def test_an_export_says_what_it_holds(source: Path, file: Path) -> None:
    found = archive.check(file)
    with opened(source) as ledger:
        assert (found.blocks, found.head) == (ledger.head().number + 1, ledger.head().hash)
    assert found.genesis == GENESIS
    assert found.clock_offset_seconds == 86400
    lines = file.read_bytes().splitlines(keepends=True)
    assert found.sha256 == hashlib.sha256(b"".join(lines[:-1])).hexdigest()


def test_a_chain_is_exported_while_it_is_served(source: Path, tmp_path: Path) -> None:
    with opened(source):
        made = archive.check(exported(source, tmp_path / "live.jsonl"))
    assert made.blocks == 5


def test_nothing_that_exists_is_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    with pytest.raises(OutputExists):
        exported(source, tmp_path / "there")
    with pytest.raises(OutputNotWritable):
        exported(source, tmp_path / "no folder" / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_ledger_whose_block_does_not_hold_is_not_exported(tmp_path: Path) -> None:
    folder = grown(tmp_path / "chain")
    store = Store(folder / LEDGER)
    store._connection.execute("update tx set receipt = x'c0' where number = 2")
    store.close()
    with pytest.raises(BlockInvalid, match="receipts"):
        exported(folder, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_memory_does_not_grow_with_the_chain(tmp_path: Path) -> None:
    small, large = grown(tmp_path / "small", blocks=20), grown(tmp_path / "large", blocks=220)

    def peak(work: Callable[[], object]) -> int:
        tracemalloc.start()
        work()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(lambda: exported(small, tmp_path / "warm"))
    few = peak(lambda: exported(small, tmp_path / "few"))
    many = peak(lambda: exported(large, tmp_path / "many"))
    size = (tmp_path / "many").stat().st_size - (tmp_path / "few").stat().st_size
    assert many - few < size / 4
    assert peak(lambda: archive.check(tmp_path / "many")) - peak(lambda: archive.check(tmp_path / "few")) < size / 4


# --- files that are refused -------------------------------------------------------------------------------------------


def values(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def signed_off(lines: list[dict]) -> bytes:
    """The file of these lines, with an end that fits them: as somebody would write who means harm."""
    head = [json.dumps(line, separators=(",", ":"), sort_keys=True).encode() + b"\n" for line in lines[:-1]]
    end = lines[-1] | {"blocks": len(head) - 1, "sha256": hashlib.sha256(b"".join(head)).hexdigest()}
    return b"".join(head) + json.dumps(end, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def refused(content: bytes, folder: Path, failure: type[Failure], match: str | None = None, **options: str) -> Failure:
    file = folder / "bad.jsonl"
    file.write_bytes(content)
    with pytest.raises(failure, match=match) as caught:
        restore(file, folder / "target", **options)
    return caught.value


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused_before_anything_is_written(file: Path, tmp_path: Path, part: float) -> None:
    content = file.read_bytes()
    refused(content[: int(len(content) * part)], tmp_path, errors.ExportTruncated, "it was cut")
    assert not (tmp_path / "target").exists()


def test_a_file_cut_between_two_lines_is_refused(file: Path, tmp_path: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    for count in range(len(lines)):
        failure = refused(b"".join(lines[:count]), tmp_path, errors.ExportTruncated)
        assert failure.facts["blocks"] == max(0, count - 1)


def test_any_flipped_bit_is_refused(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 300)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        (tmp_path / "bad.jsonl").write_bytes(flipped)
        with pytest.raises(Failure) as caught:
            restore(tmp_path / "bad.jsonl", tmp_path / "target")
        assert caught.value.code.startswith("CHAIN_"), place
    assert not (tmp_path / "target").exists()


def test_an_altered_block_is_named(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    lines = content.splitlines(keepends=True)
    raw = json.loads(lines[3])["transactions"][0]  # of block 2
    altered = content.replace(raw.encode(), raw[:-1].encode() + (b"0" if raw[-1] != "0" else b"1"))
    failure = refused(altered, tmp_path, errors.ExportAltered)
    assert "block 2" in failure.message("en")
    assert "transactions" in failure.message("en")


def test_blocks_in_another_order_are_refused(file: Path, tmp_path: Path) -> None:
    lines = values(file)
    lines[2], lines[3] = lines[3], lines[2]
    refused(signed_off(lines), tmp_path, errors.ExportInvalid, "block 1 is expected")
    lines[2]["number"], lines[3]["number"] = 1, 2
    refused(signed_off(lines), tmp_path, BlockInvalid)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: lines.insert(1, lines[1]), "block 1 is expected"),
        (lambda lines: lines.pop(2), "block 1 is expected"),
        (lambda lines: lines.append(lines[-1]), "the end"),
        (lambda lines: lines[0].update(version=2), "version 1"),
        (lambda lines: lines[0].update(more=1), "version 1"),
        (lambda lines: lines[0].update(clock_offset_seconds=-1), "clock"),
        (lambda lines: lines[1].update(header="0xzz"), "hex data"),
        (lambda lines: lines[1].update(receipts={}), "no block"),
        (lambda lines: lines[1].update(extra=1), "no block"),
    ],
    ids=["twice", "left out", "two ends", "version", "unknown key", "clock", "hex", "receipts", "unknown part"],
)
def test_a_file_of_another_form_is_refused(file: Path, tmp_path: Path, change: Callable, why: str) -> None:
    lines = values(file)
    change(lines)
    refused(signed_off(lines), tmp_path, errors.ExportInvalid, why)


@pytest.mark.parametrize("line", [b"[" * 1_000 + b"\n", b"1\n", b"\xff\n", b"{}x\n"])
def test_a_line_that_is_no_object_is_refused(file: Path, tmp_path: Path, line: bytes) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    refused(b"".join([lines[0], line, *lines[2:]]), tmp_path, errors.ExportInvalid, "line 2")


def test_a_line_without_end_is_not_read_into_memory(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LINE_BYTES_MAX", 10_000)
    refused(file.read_bytes() + b" " * 20_000, tmp_path, errors.ExportInvalid, "longer than")


def test_a_file_of_another_chain_is_refused(file: Path, tmp_path: Path) -> None:
    other = grown(tmp_path / "target", begun=replace(GENESIS, timestamp=START - 1))
    before = rows(other)
    refused(file.read_bytes(), tmp_path, errors.ExportOfAnotherChain, "take the right file")
    assert rows(other) == before


def test_the_expected_genesis_is_compared(file: Path, tmp_path: Path) -> None:
    refused(file.read_bytes(), tmp_path, errors.ExportOfAnotherChain, expected="00" * 32)
    assert restore(file, tmp_path / "good", GENESIS.digest[:12].upper()).genesis == GENESIS


def test_blocks_of_another_chain_under_our_genesis_are_not_written(file: Path, tmp_path: Path) -> None:
    begun = replace(GENESIS, senders=GENESIS.senders - {KEYS["submitter"].address})
    lines = values(file)
    lines[0]["genesis"] = begun.to_body()
    refused(signed_off(lines), tmp_path, errors.ExportNotReproduced, "block 0")


def test_a_ledger_is_not_imported_over_another(source: Path, file: Path, tmp_path: Path) -> None:
    restore(file, tmp_path / "target")
    refused(file.read_bytes(), tmp_path, errors.ImportTargetTaken)
    assert rows(tmp_path / "target") == rows(source)


def _forged(lines: list[dict], number: int, fields: dict[int, bytes]) -> None:
    """Change fields of a block's header, and the parents after it, so that every hash fits again."""
    parent = None
    for line in lines[1 + number : -1]:
        header = rlp.decode(bytes.fromhex(line["header"][2:]))
        if parent is None:
            header = [fields.get(i, field) for i, field in enumerate(header)]
        else:
            header[0] = parent
        line["header"] = data(rlp.encode(header))
        parent = archive.blocks.decode_header(rlp.encode(header)).hash
    assert parent is not None
    lines[-1]["head"] = data(parent)


@pytest.mark.parametrize(
    ("number", "fields"),
    [
        (2, {3: b"\x01" * 32}),
        (4, {3: b"\x02" * 32}),
        (2, {12: b"more"}),
        (1, {10: b"\x01"}),
        (3, {2: b"\x01" * 20}),
        (2, {11: (START + 7).to_bytes(4, "big"), 3: b"\x01" * 32}),
    ],
    ids=["state root", "state root of the newest", "extra data", "gas used", "miner", "time and state"],
)
def test_a_history_whose_hashes_fit_and_whose_state_does_not_is_refused(
    file: Path, tmp_path: Path, number: int, fields: dict
) -> None:
    lines = values(file)
    _forged(lines, number, fields)
    failure = refused(signed_off(lines), tmp_path, errors.ExportNotReproduced)
    assert failure.facts["number"] == number
    store = Store(tmp_path / "target" / LEDGER)
    head = store.head()
    store.close()
    assert head is not None
    assert head.number == number - 1
    with pytest.raises(errors.ImportUnfinished), opened(tmp_path / "target"):
        raise AssertionError("a partly imported ledger was opened")


# --- interrupted ------------------------------------------------------------------------------------------------------


class PowerCut(BaseException):
    """The process ends here."""


def test_an_import_that_was_cut_goes_on_with_the_same_file_alone(
    source: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    for stop in range(5):

        def cut(number: int, stop: int = stop) -> None:
            if number == stop:
                raise PowerCut

        with pytest.raises(PowerCut):
            restore(file, target, progress=cut)
        for use in (opened, reading):
            with pytest.raises(errors.ImportUnfinished, match="same file"), use(target):
                raise AssertionError("a partly imported ledger was opened")
    longer = exported(grown(tmp_path / "longer", blocks=1), tmp_path / "longer.jsonl")
    with pytest.raises(errors.ImportUnfinished):
        restore(longer, target)
    restore(file, target)
    assert rows(target) == rows(source)


def test_an_import_on_a_full_disk_goes_on_when_there_is_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = grown(tmp_path / "source", blocks=60)
    file, target = exported(source, tmp_path / "chain.jsonl"), tmp_path / "target"
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_SCHEMA", store_module._SCHEMA + "pragma max_page_count=20;")
        for _ in range(2):
            with pytest.raises(errors.LedgerFull, match="make space"):
                restore(file, target)
    assert 0 < _head(target) < 64
    restore(file, target)
    assert rows(target) == rows(source)


@pytest.mark.flow
@pytest.mark.slow_flow
def test_a_killed_import_goes_on(tmp_path: Path) -> None:
    source = grown(tmp_path / "source", blocks=400)
    file = tmp_path / "chain.jsonl"
    assert run("export", "--dir", str(source), "--out", str(file)).returncode == 0
    target = tmp_path / "target"
    heads = []
    for wanted in (0, 60, 200):
        arguments = command("import", "--dir", str(target), str(file))
        importing = subprocess.Popen(arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        until(lambda wanted=wanted: _head(target) >= wanted, 30)
        importing.kill()
        importing.communicate()
        assert importing.returncode == -signal.SIGKILL, "it ended before it was killed"
        heads.append(_head(target))
        done = run("verify", "--dir", str(target))
        assert done.stderr.startswith("CHAIN_IMPORT_UNFINISHED: ")
    assert heads == sorted(heads)
    done = run("import", "--json", "--dir", str(target), str(file))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["blocks"] == 405
    assert rows(target) == rows(source)


def _head(folder: Path) -> int:
    try:
        store = Store(folder / LEDGER, read_only=True)
    except Exception:
        return -1
    try:
        head = store.head()
    except Exception:  # between the file and its tables
        return -1
    finally:
        store.close()
    return -1 if head is None else head.number


# --- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands_say_what_they_did_in_both_languages(source: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "chain.jsonl")
    done = run("export", "--dir", str(source), "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("5 blocks are in")
    again = run("export", "--dir", str(source), "--out", out)
    assert (again.returncode, again.stderr.split(":")[0]) == (2, "OUTPUT_EXISTS")
    done = run("--lang", "zh", "import", "--dir", str(tmp_path / "again"), out)
    assert "已重放" in done.stdout
    assert "co-signed" in run("import", "--dir", str(tmp_path / "third"), out).stdout
    checked = run("verify", "--dir", str(tmp_path / "again"))
    assert "5 blocks with 6 transactions hold in py-evm and revm" in checked.stdout
    assert json.loads(run("verify", "--json", "--dir", str(source)).stdout)["engines"] == ["py-evm", "revm"]
    assert run("import", "--dir", str(tmp_path / "none"), str(tmp_path / "absent")).returncode == 2


def test_a_long_run_tells_how_far_it_is(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.chain import cli_ledger

    monkeypatch.setattr(cli_ledger, "PROGRESS_BLOCKS", 2)
    assert run("verify", "--dir", str(source)).stderr == "2 / 5\n4 / 5\n"
    assert run("verify", "--json", "--dir", str(source)).stderr == ""

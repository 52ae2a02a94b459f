"""MariaDB's InnoDB on the library: under load, killed in the middle, started again, with every
transaction there that a client had been told of.

io_uring is kept from it (`without_io_uring.c`), so that it takes libaio, and says so in its log.
The server calls io_setup, io_submit and io_destroy of the library; its io_getevents is a system
call of its own, made in a thread that waits in it for ever (docs/compatibility.md).
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import compiled, environment, imports_of, maps_ours, package_version, run
from test_faults import Injected, programs  # noqa: F401 (a fixture)

WRITERS = 4
PATIENCE = 60


@pytest.fixture(scope="session")
def launcher(tmp_path_factory) -> Path:
    return compiled("without_io_uring.c", tmp_path_factory.mktemp("mariadb") / "without_io_uring")


class Server:
    """A MariaDB server of one data folder; no network, no other configuration."""

    def __init__(self, launcher: Path, folder: Path, env: dict[str, str]):
        self.launcher, self.folder, self.env = launcher, folder, env
        self.data, self.log = folder / "data", folder / "log.err"
        # The path of a socket is short.
        self.socket = folder / "s"
        self.process = None

    def install(self):
        self.data.mkdir()
        options = ["--no-defaults", "--user=root", f"--datadir={self.data}", "--skip-test-db"]
        options += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
        run(self.launcher, "mariadb-install-db", *options, env=environment())

    def start(self):
        options = {
            "user": "root",
            "datadir": self.data,
            "socket": self.socket,
            "pid-file": self.folder / "pid",
            "log-error": self.log,
            "innodb-use-native-aio": "1",
            "innodb-flush-method": "O_DIRECT",
            "innodb-flush-log-at-trx-commit": "1",
            # Small, so that pages are read and written all the time.
            "innodb-buffer-pool-size": "8M",
            "innodb-log-file-size": "8M",
            "innodb-io-capacity": "2000",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        command = [self.launcher, "mariadbd", "--no-defaults", "--skip-networking", *words]
        self.process = subprocess.Popen([str(word) for word in command], env=self.env)
        deadline = time.monotonic() + PATIENCE
        while run(*self.client("SELECT 1"), check=False).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def said(self) -> str:
        return self.log.read_text()

    def client(self, *statement: str) -> list[str]:
        options = ["--no-defaults", "--user=root", f"--socket={self.socket}", "-N", "-B"]
        return ["mariadb", *options, *(("-e", *statement) if statement else ())]

    def ask(self, statement: str) -> list[str]:
        return run(*self.client(statement)).stdout.splitlines()

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=PATIENCE)

    def stop(self):
        self.ask("SHUTDOWN")
        assert self.process.wait(timeout=PATIENCE) == 0, self.said()


@contextlib.contextmanager
def server(launcher: Path, folder: Path, env: dict[str, str]):
    made = Server(launcher, folder, env)
    try:
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.kill()


class Writer:
    """A client that inserts rows one by one, each a transaction, and notes which it was told of."""

    def __init__(self, server: Server, number: int):
        self.number, self.told = number, 0
        self.client = subprocess.Popen(
            [*server.client(), "--unbuffered"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.thread = threading.Thread(target=self.write)
        self.thread.start()

    def write(self):
        with contextlib.suppress(BrokenPipeError):
            for row in range(1, 1_000_000):
                values = f"{self.number}, {row}, REPEAT(CHAR(65 + {row} % 26), 500)"
                print(
                    f"INSERT INTO t.rows_ VALUES ({values}); SELECT {row};", file=self.client.stdin
                )
                self.client.stdin.flush()
                if self.client.stdout.readline() != f"{row}\n":
                    break
                self.told = row

    def finish(self):
        self.thread.join(timeout=PATIENCE)
        self.client.kill()
        self.client.communicate()


def oltp(server: Server, step: str) -> list[str]:
    options = ["--mysql-user=root", f"--mysql-socket={server.socket}", "--mysql-db=t"]
    options += ["--tables=2", "--table-size=5000", "--threads=4", "--time=60"]
    return ["sysbench", "oltp_read_write", *options, step]


def killed_under_load(server: Server):
    """SIGKILL in the middle of inserts and of sysbench's transactions; the inserts' writers."""
    output = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    load = subprocess.Popen(oltp(server, "run"), **output)
    writers = [Writer(server, number) for number in range(WRITERS)]
    try:
        deadline = time.monotonic() + PATIENCE
        while min(writer.told for writer in writers) < 300:
            assert server.process.poll() is None and load.poll() is None, server.said()
            assert time.monotonic() < deadline, "the load does not get on"
            time.sleep(0.05)
    finally:
        server.kill()
        load.kill()
        load.wait()
        for writer in writers:
            writer.finish()
    return writers


UNPURGED = "Warning\tInnoDB: Clustered index record not found for index"


def not_ok(told: list[str]) -> list[str]:
    """What CHECK TABLE tells beside that a table is well."""
    assert told
    return [line for line in told if line.split("\t")[2:] != ["status", "OK"]]


def check(server: Server, writers: list[Writer]):
    """All rows that were told of, whole; and tables without a fault."""
    for writer in writers:
        where = f"w = {writer.number} AND text_ = REPEAT(CHAR(65 + n % 26), 500)"
        (line,) = server.ask(f"SELECT COUNT(*), MAX(n) FROM t.rows_ WHERE {where}")
        count, last = map(int, line.split())
        # One more may have been committed of which the client was not told.
        assert count == last and writer.told <= last <= writer.told + 1, (line, writer.told)
    tables = "t.rows_, t.sbtest1, t.sbtest2"
    for extent in ("", "EXTENDED"):
        deadline = time.monotonic() + PATIENCE
        while told := not_ok(server.ask(f"CHECK TABLE {tables} {extent}")):
            # EXTENDED warns, with Debian's library as well, of index entries that were marked as
            # deleted, as long as the server has not purged them: it does that in the background.
            assert extent and all(UNPURGED in line for line in told), told
            assert time.monotonic() < deadline, told
            time.sleep(0.1)


# Not EAGAIN from io_submit: the server takes it for a failing disk, and ends itself, with Debian's
# library too.
ROUNDS = {
    "no faults": {},
    "EINTR from io_getevents": {"FAULTS": "io_getevents:EINTR:2+3"},
    "1000 signals a second": {"FAULTS_SIGNAL_US": "1000"},
}


# To io_uring it is a program that cannot be served: the kernel engine does, and says so.
IGNORED = "libaio-rs: LIBAIO_ENGINE=io_uring is ignored: this program takes events by system call"


@pytest.mark.parametrize(
    "engine, faults", [*(("kernel", faults) for faults in ROUNDS), ("io_uring", "no faults")]
)
def test_every_committed_row_is_there(
    programs, launcher, folder, engine, matrix, faults  # noqa: F811
):
    injected = Injected(programs, folder, engine, **ROUNDS[faults])
    with server(launcher, folder, injected.environment) as mariadb:
        mariadb.install()
        mariadb.start()
        assert "falling back to libaio" in mariadb.said()
        assert "Using Linux native AIO" in mariadb.said()
        assert mariadb.said().count(IGNORED) == (engine == "io_uring")
        assert maps_ours(mariadb.process.pid)
        mariadb.ask("CREATE DATABASE t")
        columns = "w INT, n INT, text_ VARCHAR(500), PRIMARY KEY (w, n)"
        mariadb.ask(f"CREATE TABLE t.rows_ ({columns}) ENGINE=InnoDB")
        run(*oltp(mariadb, "prepare"))
        writers = killed_under_load(mariadb)
        mariadb.start()
        assert "Starting crash recovery" in mariadb.said()
        check(mariadb, writers)
        # The twin: a row that is missing is missed.
        mariadb.ask(f"DELETE FROM t.rows_ WHERE w = 1 AND n = {writers[1].told}")
        with pytest.raises(AssertionError):
            check(mariadb, writers)
        mariadb.stop()
    # A line for each fault, or each hundredth signal: how many depends on how fast all of it was.
    assert faults == "no faults" or injected.lines() > 3
    version = package_version("mariadb-server-core")
    imports = imports_of(run("sh", "-c", "command -v mariadbd").stdout.strip())
    what = f"killed under load and started again, {faults}"
    result = "every committed row there"
    if engine == "io_uring":
        result += ", on the kernel engine"
    matrix.row("mariadbd", version, imports, what, result)

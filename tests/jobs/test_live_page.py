"""The live page: what it says of runs that go on, and how it is served."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from aioli.analysis.comparison import compare_runs
from aioli.errors import InputError
from aioli.jobs import live_server
from aioli.jobs.live_page import LivePage, progress
from aioli.locks import DirectoryLock
from aioli.report.page import render_page

STEPS = 100


def line(step: int, groups: int = 2) -> str:
    told = {
        "step": step,
        "loss": 5 - step / 50,
        "phase": "probe" if step == 4 else "train",
        "proportions": [1 / groups] * groups,
        "train_loss": [4.0] * groups,
        "seconds": step / 2,
    }
    return json.dumps(told) + "\n"


def result(label: str, seed: int) -> dict[str, Any]:
    return {
        "version": 1,
        "id": f"{label}{seed}",
        "label": label,
        "method": label,
        "parameters": {},
        "seed": seed,
        "groups": ["law", "code"],
        "targets": ["law", "code"],
        "steps": STEPS,
        "test": {"loss": [2.0 + seed / 10, 3.0], "tokens": [10, 10], "bits_per_byte": [None, None]},
        "cost": {"seconds": 9.0, "split": {}},
        "curve": {"step": [50, 100], "train_loss": [[4.0, 4.0], [3.0, 3.0]]},
        "proportions": {"step": [0], "values": [[0.5, 0.5]], "phase": ["train"]},
        "matrices": [],
        "epochs": [1.0, 1.0],
        "drawn": [5, 5],
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two runs planned, and the directory of the first made."""
    out = tmp_path / "out"
    config = {"title": "Fish", "data": {"groups": {"law": {}, "code": {}}}, "train": {"steps": STEPS}}
    config |= {"methods": ["stratified"]}
    runs = [{"id": f"stratified{seed}", "label": "stratified", "seed": seed} for seed in (0, 1)]
    directory = out / "runs" / "stratified0"
    directory.mkdir(parents=True)
    spec = {"method": "stratified", "seed": 0, "train": {"steps": STEPS}}
    (directory / "spec.json").write_text(json.dumps(spec))
    (out / "plan.json").write_text(json.dumps({"config": config, "corpus": "data", "runs": runs}))
    return out


def finish(out: Path, seed: int) -> None:
    directory = out / "runs" / f"stratified{seed}"
    directory.mkdir(exist_ok=True)
    (directory / "result.json").write_text(json.dumps(result("stratified", seed)))


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_an_empty_directory_says_that_nothing_has_finished(tmp_path):
    page = LivePage(tmp_path)
    assert "Nothing has finished yet" in words(page.render())


def test_no_directory(tmp_path):
    with pytest.raises(InputError, match="not a directory"):
        LivePage(tmp_path / "none")


def test_progress_of_a_run(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert progress(path, 2, STEPS) == {}
    path.write_text(line(2, groups=3) + json.dumps({"step": 2, "groups": ["a", "b"]}) + "\n")
    path.write_text(path.read_text() + line(4) + line(20) + '{"half')
    told = progress(path, 2, STEPS)
    assert (told["step"], told["loss"], told["eta"]) == (20, 4.6, 40.0)  # half a second a step
    assert told["proportions"]["step"] == [20] and told["curve"]["step"] == [4, 20]
    assert told["law"] == {}
    scored = json.loads(line(30)) | {"law": {"r2": 0.41, "r2_trend": 0.1, "coverage": 0.93}}
    path.write_text(json.dumps(scored) + "\n")
    assert progress(path, 2, STEPS)["law"]["coverage"] == 0.93


def test_a_running_law_is_scored_on_the_page(out):
    scored = json.loads(line(30)) | {"law": {"r2": 0.41, "r2_trend": 0.1, "coverage": 0.93}}
    (out / "runs" / "stratified0" / "metrics.jsonl").write_text(json.dumps(scored) + "\n")
    assert "0.410 93% inside" in words(LivePage(out).render())


def test_running_stopped_waiting_and_finished(out):
    page, directory = LivePage(out), out / "runs" / "stratified0"
    before = page.version()
    assert "Nothing has finished yet. 0 of 2 runs have finished" in words(page.render())
    (directory / "metrics.jsonl").write_text(line(10) + line(20))
    with DirectoryLock(directory):
        going = words(page.render())
        assert page.version() != before
    assert "1 is running" in going and "20% step 20 of 100" in going and "40.0 s" in going
    assert "stratified, seed 1 waiting" in going
    assert 'id="live-proportions"' in page.render() and 'id="live-losses"' in page.render()
    assert "stratified, seed 0 stopped" in words(page.render())
    finish(out, 0)
    both = page.render()
    assert "1 of 2 runs have finished, 0 are running" in words(both)
    assert 'id="summary"' in both and "stratified, seed 1 waiting" in words(both)
    finish(out, 1)
    assert "2 of 2 runs have finished" in words(page.render()) and 'id="runs"' not in page.render()


def test_one_run_of_a_directory(out):
    finish(out, 1)
    told = LivePage(out / "runs" / "stratified0").render()
    assert "seed 0 waiting" in words(told) and "0 of 1 runs" in words(told)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], HTTPConnection]]:
    """Serves a page in a thread and connects to it."""
    servers, make = [], live_server._Server

    def server(*arguments: Any) -> Any:
        servers.append(make(*arguments))
        return servers[-1]

    monkeypatch.setattr(live_server, "_Server", server)
    threads: list[threading.Thread] = []

    def start(page: Any) -> HTTPConnection:
        address: list[str] = []
        there = threading.Event()

        def ready(told: str) -> None:
            address.append(told)
            there.set()

        threads.append(threading.Thread(target=live_server.serve, args=(page, 0, ready)))
        threads[-1].start()
        assert there.wait(10)
        return HTTPConnection(address[0].removeprefix("http://").rstrip("/"), timeout=20)

    yield start
    for each in servers:
        each.shutdown()
    for thread in threads:
        thread.join(10)


def asked(client: HTTPConnection, path: str = "/", **headers: str) -> tuple[int, str, str]:
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    return answer.status, answer.getheader("ETag") or "", answer.read().decode()


def test_the_page_over_http(out, served, monkeypatch):
    monkeypatch.setattr(live_server, "SHARE", 0.0)
    client = served(LivePage(out))
    status, tag, text = asked(client)
    assert status == 200 and "Nothing has finished yet" in text
    assert asked(client, **{"If-None-Match": tag})[::2] == (304, "")
    (out / "runs" / "stratified0" / "metrics.jsonl").write_text(line(30))
    status, other, text = asked(client, **{"If-None-Match": tag})
    assert status == 200 and other != tag and "step 30 of 100" in text
    assert asked(client, "/etc/passwd")[0] == 404
    assert asked(client, Host="evil.example:80")[0] == 403
    (out / "plan.json").write_text("{")
    assert asked(client)[0] == 503  # damaged, or just being changed: the page asks again


def test_a_browser_that_goes_away_leaves_no_traceback(served, capfd):
    class Large:
        def version(self) -> int:
            return 0

        def render(self) -> str:
            return "x" * 50_000_000

    client = served(Large())
    for _ in range(3):
        with socket.create_connection((client.host, client.port)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert browser.recv(20).startswith(b"HTTP/1.0 200")
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
    assert asked(client)[0] == 200
    told = capfd.readouterr()
    assert "Traceback" not in told.err + told.out


def test_a_page_that_takes_long_is_not_made_too_often(served):
    class Slow:
        made = 0

        def version(self) -> int:
            return self.made

        def render(self) -> str:
            self.made += 1
            sum(range(3_000_000))
            return f"page {self.made}"

    page = Slow()
    client = served(page)
    assert {asked(client)[2] for _ in range(5)} == {"page 1"} and page.made == 1


def test_only_this_machine_and_a_port_in_use(out):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 is in use: name another with --port"):
            live_server.serve(LivePage(out), port)


def test_the_written_page_has_no_live_part(out):
    page = render_page(compare_runs([result("stratified", 0)]))
    assert "fetch(" not in page and "connect-src" not in page
    assert "fetch(" in LivePage(out).render()

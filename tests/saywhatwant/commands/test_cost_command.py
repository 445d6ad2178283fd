"""``sww cost``: what is printed, drawn and refused."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from terminal import sww

from conftest import StartServer
from servers import Server


def post(server: Server) -> None:
    body = {"text": "Why?", "username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}
    server.http.post("/api/comments", json=body).raise_for_status()


def test_what_a_server_has_used_is_told_in_dollars(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    for _ in range(3):
        post(server)
    found = json.loads(sww(tmp_path, "cost", "--from-stats", server.url, "--json").stdout)
    measured = found["costs"][-1]
    assert (measured["name"], measured["counts"]["roundTrips"]) == ("this server", 3)
    assert measured["counts"]["rowsWritten"] == server.http.get("/api/stats").json()["usage"]["rowsWritten"] > 0
    assert measured["perMillionObjects"] > 0
    assert [cost["name"] for cost in found["costs"][:-1]] == ["first wall", "its successor"]


def test_without_a_url_it_asks_the_server_that_would_be_started_here(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    done = sww(tmp_path, "cost", "--from-stats", bind=server.url.removeprefix("http://"))
    assert done.status == 0, done.stderr
    assert f"what {server.url} has used" in done.stdout
    assert "no round trip to divide by" in done.stdout


def test_other_prices_make_another_bill_and_the_chart_has_a_bar_for_each(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    post(server)
    asked = ["cost", "--from-stats", server.url, "--json"]
    file = tmp_path / "prices.toml"
    file.write_text("rows_written = 1000.0\n")
    usual, dear = (
        json.loads(sww(tmp_path, *asked, *more).stdout)["costs"][-1]["perMillionObjects"]
        for more in ([], ["--prices", str(file), "--svg", "chart.svg"])
    )
    assert dear > 100 * usual
    drawn = ET.fromstring((tmp_path / "chart.svg").read_text())  # noqa: S314 - our own
    texts = ["".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"first wall", "its successor", "this server"} <= set(texts)


def test_p8_a_wrong_price_is_refused_by_its_name(tmp_path: Path) -> None:
    assert "`row`" in sww(tmp_path, "cost", "--price", "row=1").error
    assert "--price rows_read has no value" in sww(tmp_path, "cost", "--price", "rows_read").error
    assert sww(tmp_path, "cost", "--scenario", "no-such").status == 2


def test_a_server_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    assert "http://127.0.0.1:1 cannot be reached" in sww(tmp_path, "cost", "--from-stats", "http://127.0.0.1:1").error

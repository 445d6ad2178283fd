"""Data has a topology, and a server with another one does not start on it."""

from pathlib import Path

import pytest
from terminal import sww

from servers import Server

POST = {"text": "Why is space black?", "username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}


def texts(server: Server) -> list[str]:
    messages: list[dict[str, str]] = server.http.get("/api/comments").raise_for_status().json()
    return [message["text"] for message in messages]


@pytest.mark.parametrize(("first", "second"), [("single", "per-entity"), ("per-entity", "single")])
def test_p1_another_topology_than_the_datas_is_refused_with_a_way_out(tmp_path: Path, first: str, second: str) -> None:
    with Server(tmp_path, topology=first) as server:
        server.http.post("/api/comments", json=POST).raise_for_status()
        assert server.terminate() == 0
        refused = sww(tmp_path, "serve", "--bind", "127.0.0.1:0", "--data", str(server.data), topology=second)
        assert refused.error == (
            f"sww: SWW_TOPOLOGY is {second}, but the data in {server.data} has the topology {first}: start with "
            f"SWW_TOPOLOGY={first}, or convert the data with sww migrate --data {server.data} --topology {second}"
        )
        refused = sww(tmp_path, "serve", "--bind", "127.0.0.1:0", "--data", str(server.data), topology="hybrid")
        assert refused.error.endswith(f"start with SWW_TOPOLOGY={first}, or choose another SWW_DATA"), "nothing converts it"
        server.start()
        assert texts(server) == ["Why is space black?"]

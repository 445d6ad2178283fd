"""This product under other servers is still this product; what is compared with it can be left out."""

from pathlib import Path

import httpx
import pytest

from benchmarks.contenders.ceiling import Ceiling
from benchmarks.contenders.contract import Contender
from benchmarks.contenders.granian import OnGranian
from benchmarks.contenders.plain_uvicorn import OnPlainUvicorn
from benchmarks.contenders.postgres import Postgres
from benchmarks.contenders.product import Product
from benchmarks.contenders.redis import Redis
from benchmarks.failures import Missing

POST = {"text": "Why is space black?", "username": "Human", "color": "169080199", "botParams": {"entity": "eliza"}}


@pytest.mark.parametrize("contender", [Product(), OnPlainUvicorn(), OnGranian()], ids=lambda contender: contender.name)
def test_a_post_is_stored(contender: Contender, tmp_path: Path) -> None:
    with contender.start(tmp_path) as server, httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        posted = http.post("/api/comments", json=POST).raise_for_status().json()
        (message,) = http.get("/api/comments", params={"limit": 10}).raise_for_status().json()
    assert message["id"] == posted["id"]


def test_the_ceiling_answers_posts_and_stores_nothing(tmp_path: Path) -> None:
    with Ceiling().start(tmp_path) as server, httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        assert http.post("/api/comments", json=POST).raise_for_status().json()["status"] == "success"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("contender", [Redis(), Postgres()], ids=lambda contender: contender.name)
def test_a_contender_without_its_python_packages_names_what_installs_them(
    contender: Contender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{type(contender).__module__}.find_spec", lambda _: None)
    with pytest.raises(Missing, match="install"), contender.start(tmp_path):
        pass

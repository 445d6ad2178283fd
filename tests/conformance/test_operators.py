"""What operators see and do, with the token: details of failures, which no reader gets."""

from calls import claim, post, queue, read, said
from readers import Feed

from servers import Server

DETAIL = "HTTP 500 from http://gpu-7.internal:8080/v1: CUDA error: out of memory"


def test_p8_an_operator_reads_the_providers_own_words_and_no_reader_does(server: Server) -> None:
    posted = post(server)
    with Feed(server) as feed:
        claim(server, posted["id"])
        fence = {"messageId": posted["id"], "workerId": "worker-1", "attempt": 1}
        said(queue(server, "fail", **fence, error="the model failed", retry=False, detail=DETAIL))
        feed.until_message(posted["id"], status="failed")
        seen = str(feed.frames)
    listed = said(server.http.get("/api/queue/messages", params={"state": "failed", "limit": 1_000}))
    (message,) = [message for message in listed if message["id"] == posted["id"]]
    assert message["detail"] == DETAIL
    (public,) = read(server, since=posted["timestamp"] - 1)
    assert {key: value for key, value in message.items() if key != "detail"} == public
    public_paths = ("/api/comments", "/api/comments?changedAfter=0", "/api/queue/pending", "/api/stats", "/api/entities")
    seen += "".join(server.http.get(path).text for path in public_paths) + server.http.get("/metrics").text
    assert "the model failed" in seen
    assert "gpu-7" not in seen

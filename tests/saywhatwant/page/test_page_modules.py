"""The parts of the page that need no page: merging, colours, links."""

from typing import Any

import pytest
from page_browser import Json
from playwright.sync_api import Browser, Page

from servers import Server

pytest_plugins = ["page_visits"]

PAPERS = ("#f5efe3", "#fdfaf3", "#12151b", "#1b2028")
RANDOM = """
  let state = seed;
  const random = () => ((state = (state * 48271) % 2147483647) - 1) / 2147483646;
  const below = (limit) => Math.floor(random() * limit);
  const shuffled = (list) => {
    const all = [...list];
    for (let at = all.length - 1; at > 0; at -= 1) {
      const other = below(at + 1);
      [all[at], all[other]] = [all[other], all[at]];
    }
    return all;
  };
"""
MERGING = (
    "({ Feed }, seed) => {"
    + RANDOM
    + """
  // A history: each message in all its versions, with a reply to some.
  const versions = [];
  let seq = 0;
  for (let number = 0; number < 12; number += 1) {
    const id = `m${number}`;
    const message = (status, more = {}) => ({
      id, timestamp: 1000 + 10 * number, text: `text ${number}`, username: "Human", color: "001002003", messageType: "human",
      replyTo: null, seq: ++seq, ...more,
      botParams: { status, entity: null, attempt: status === "pending" ? 0 : 1, error: null },
    });
    versions.push(message("pending"), message("processing"));
    if (number % 3 === 0) continue;
    versions.push(message(number % 3 === 1 ? "complete" : "failed"));
    if (number % 3 === 2) continue;
    versions.push(message("complete", { id: `r${number}`, timestamp: 1045 + 10 * number, messageType: "AI", replyTo: id }));
  }
  const latest = new Map(versions.map((version) => [version.id, version]));
  const expected = [...latest.values()].sort((a, b) => a.timestamp - b.timestamp);

  // Three of them are our own, and wait in the outbox at first.
  const own = shuffled([...latest.keys()].filter((id) => id.startsWith("m"))).slice(0, 3);
  let entries = own.map((id) => {
    const { text, username, color } = latest.get(id);
    return { key: `key-${id}`, createdAt: 0, text, username, color, entity: "", attempt: 1, state: "sending", reason: "" };
  });

  // They come by poll, by socket and as answers to our posts, in any order, more than once.
  const feed = new Feed();
  feed.load([], true);
  feed.setOutbox(entries);
  const arrivals = [
    ...shuffled([...versions, ...versions.filter(() => random() < 0.5)]).map((version) => () =>
      random() < 0.5 ? feed.merge([version]) : feed.apply([{ type: "message", message: version }])),
    ...own.map((id) => () => {
      const entry = entries.find(({ key }) => key === `key-${id}`);
      entries = entries.filter((other) => other !== entry);
      feed.setOutbox(entries);
      feed.acknowledge(entry, { id, timestamp: latest.get(id).timestamp });
    }),
  ];
  const duplicates = [];
  for (const arrive of shuffled(arrivals)) {
    arrive();
    const rows = feed.rows();
    const keys = rows.map(({ key }) => key);
    if (new Set(keys).size !== keys.length) duplicates.push(keys.join(" "));
    const finished = rows.filter(({ kind }) => kind !== "provisional");
    const said = finished.map(({ kind, message: { text } }) => `${kind === "AI"} ${text}`);
    if (new Set(said).size !== said.length) duplicates.push(said.join(" "));
  }
  const rows = feed.rows();
  return {
    duplicates,
    shown: rows.filter(({ kind }) => kind !== "provisional").map(({ message: { id, seq } }) => `${id} ${seq}`),
    expected: expected.map(({ id, seq }) => `${id} ${seq}`),
    thinking: rows.filter(({ kind }) => kind === "provisional").map(({ message }) => message.id),
    unanswered: expected.filter(({ botParams }) => botParams.status === "processing").map(({ id }) => id),
    ownKeys: own.every((id) => rows.some(({ key, message }) => key === `key-${id}` && message.id === id)),
  };
}"""
)
CONTRAST = (
    "({ readable, toHex, fromHex }, [seed, papers]) => {"
    + RANDOM
    + """
  const luminance = (channels) => {
    const [red, green, blue] = channels.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const digits = () => {
    const channel = () => [0, 255, below(256)][below(3)];
    return [channel(), channel(), channel()].map((value) => String(value).padStart(3, "0")).join("");
  };
  const fixed = ["000000000", "255255255", "128128128"];
  const bad = [];
  for (const nine of [...fixed, ...Array.from({ length: 300 }, digits)]) {
    if (fromHex(toHex(nine)) !== nine) bad.push(`${nine} is not ${fromHex(toHex(nine))}`);
    for (const paper of papers) {
      const ink = luminance(readable(nine, paper).match(/\\d+/g).map(Number));
      const ground = luminance([1, 3, 5].map((at) => Number.parseInt(paper.slice(at, at + 2), 16)));
      const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
      if (contrast < 4.5) bad.push(`${nine} on ${paper}: ${contrast}`);
    }
  }
  return bad;
}"""
)
ADDRESSES = {
    "https://example.org": ["https://example.org/"],
    "http://example.org/a?b=c&d#e": ["http://example.org/a?b=c&d#e"],
    "(https://example.org/a)": ["https://example.org/a"],
    "https://example.org/a_(b)": ["https://example.org/a_(b)"],
    "https://example.org/a.": ["https://example.org/a"],
    '"https://example.org/a"': ["https://example.org/a"],
    "<https://example.org/a>": ["https://example.org/a"],
    "https://a.example, https://b.example!": ["https://a.example/", "https://b.example/"],
    "https://b\u00fccher.example/\u00fc": ["https://xn--bcher-kva.example/%C3%BC"],
    "https://[::1]/x": ["https://[::1]/x"],
    "javascript:alert(1)": [],
    "javascript:https://example.org": [],
    "xhttps://example.org": [],
    "data:text/html,x": [],
    "ftp://example.org": [],
    "//example.org/x.js": [],
    "www.example.org": [],
    "https://": [],
    "https://user:word@example.org/": [],
    "https://example.org\u202egro.live": [],
    "http:example.org": [],
    "": [],
}


@pytest.fixture(scope="module")
def page(server: Server, browser: Browser) -> Any:
    """A page without a wall, of the server's own origin."""
    context = browser.new_context(base_url=server.url)
    page = context.new_page()
    page.goto("/healthz")
    page.evaluate("name => { window.assets = name; }", assets(server))
    yield page
    context.close()


def run(page: Page, module: str, function: str, argument: object) -> Any:
    """What a function makes of a module of the page, and an argument."""
    return page.evaluate(
        f"async (argument) => ({function})(await import(`${{window.assets}}{module}`), argument)",
        argument,
    )


def assets(server: Server) -> str:
    """Where the modules are."""
    html = server.http.get("/").text
    return html.split('src="', 1)[1].split("app.js", 1)[0]


@pytest.mark.parametrize("seed", range(1, 61, 20))
def test_p5_messages_that_come_in_any_order_and_by_any_way_make_the_same_list(seed: int, page: Page) -> None:
    for offset in range(20):
        merged: Json = run(page, "feed.js", MERGING, 7_919 * (seed + offset))

        told = f"seed {seed + offset}"
        assert merged["duplicates"] == [], told
        assert merged["shown"] == merged["expected"], told
        assert merged["thinking"] == merged["unanswered"], told
        assert merged["ownKeys"], told


def test_p5_what_a_long_watch_has_let_go_of_is_read_again_without_a_gap(page: Page) -> None:
    function = """({ Feed }) => {
      const message = (number) => ({
        id: `m${number}`, timestamp: number, text: "", username: "", color: "", messageType: "human", replyTo: null,
        seq: number, botParams: { status: "complete", entity: null, attempt: 1 },
      });
      const range = (from, to) => Array.from({ length: to - from }, (_, at) => message(from + at));
      const ids = () => feed.rows().map(({ message }) => message.timestamp).join();
      const feed = new Feed();
      feed.load(range(1, 2500), true);
      feed.trim();
      const oldest = feed.oldest();
      const kept = feed.rows().length;
      feed.merge([message(1)]);
      const after = feed.rows().length;
      feed.prepend(range(1, oldest), true);
      return [feed.complete, kept === 2500 - oldest, after === kept, ids() === range(1, 2500).map(({ seq }) => seq).join()];
    }"""

    assert run(page, "feed.js", function, None) == [True, True, True, True]


def test_the_colours_of_names_can_be_read_on_all_papers_and_survive_the_browsers_notation(page: Page) -> None:
    for seed in range(1, 4):
        assert run(page, "color.js", CONTRAST, [seed * 104_729, PAPERS]) == []


def test_a_first_colour_is_nine_digits_that_the_server_takes(page: Page) -> None:
    colors = run(page, "color.js", "({ randomColor }) => Array.from({ length: 200 }, randomColor)", None)

    assert all(len(color) == 9 and all(int(color[at : at + 3]) <= 255 for at in (0, 3, 6)) for color in colors)
    assert len(set(colors)) > 100


@pytest.mark.parametrize(("text", "expected"), ADDRESSES.items())
def test_what_is_plainly_a_web_address_becomes_a_link_and_the_text_stays(text: str, expected: list[str], page: Page) -> None:
    function = """({ nodesOf }, text) => {
      const nodes = nodesOf(text);
      return [
        nodes.map((node) => node.textContent).join(""),
        nodes.filter((node) => node.localName === "a").map(({ href }) => href),
        nodes.every((node) => node.nodeType === Node.TEXT_NODE || (node.localName === "a" && !node.children.length)),
      ];
    }"""

    assert run(page, "text.js", function, text) == [text, expected, True]


def test_polls_become_rarer_up_to_30_seconds_and_soon_again_after_news(page: Page) -> None:
    function = """({ PollSchedule }) => {
      const schedule = new PollSchedule();
      const quiet = Array.from({ length: 7 }, () => Math.round(schedule.next(false)));
      schedule.active();
      return [quiet, schedule.next(true) > 30_000, schedule.next(false)];
    }"""

    assert run(page, "poll.js", function, None) == [[5000, 7500, 11250, 16875, 25313, 30000, 30000], True, 5000]


def test_pages_that_lost_their_server_together_do_not_come_back_together(page: Page) -> None:
    function = """({ Backoff }) => {
      const waits = Array.from({ length: 50 }, () => {
        const backoff = new Backoff(1_000, 30_000);
        return Array.from({ length: 8 }, () => backoff.next());
      });
      return waits;
    }"""

    waits: list[list[int]] = run(page, "poll.js", function, None)
    for step, longest in enumerate((1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000)):
        assert all(longest * 0.75 - 1 <= wait[step] <= longest for wait in waits)
        assert len({wait[step] for wait in waits}) > 10

"""The page's modules without a DOM: merging, colours, links, schedules."""

import pytest
from page_browser import Json, Modules

pytest_plugins = ["page_fixtures"]

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


@pytest.mark.parametrize("seed", range(1, 61, 20))
def test_p5_messages_that_arrive_in_any_order_and_way_make_the_same_list(seed: int, modules: Modules) -> None:
    for offset in range(20):
        merged: Json = modules.run("feed.js", MERGING, 7_919 * (seed + offset))

        case = f"seed {seed + offset}"
        assert merged["duplicates"] == [], case
        assert merged["shown"] == merged["expected"], case
        assert merged["thinking"] == merged["unanswered"], case
        assert merged["ownKeys"], case


def test_p5_messages_that_the_feed_removed_are_read_again_without_a_gap(modules: Modules) -> None:
    function = """({ Feed }) => {
      const message = (number) => ({
        id: `m${number}`, timestamp: number, text: "", username: "", color: "", messageType: "human", replyTo: null,
        seq: number, botParams: { status: "complete", entity: null, attempt: 1 },
      });
      const range = (from, to) => Array.from({ length: to - from }, (_, at) => message(from + at));
      const ids = () => feed.rows().map(({ message }) => message.timestamp).join();
      const feed = new Feed();
      feed.load(range(1, 2500), true);
      feed.trim(2_000);
      const oldest = feed.oldest();
      const kept = feed.rows().length;
      feed.merge([message(1)]);
      const after = feed.rows().length;
      feed.prepend(range(1, oldest), true);
      const all = range(1, 2500).map(({ seq }) => seq).join();
      return [feed.complete, kept === 1_500, oldest === 1_000, after === kept, ids() === all];
    }"""

    assert modules.run("feed.js", function) == [True] * 5


WRITING = """({ Feed }, events) => {
  const feed = new Feed();
  feed.load([{
    id: "aaaa", timestamp: 1, text: "?", username: "", color: "", messageType: "human", replyTo: null, seq: 1,
    botParams: { status: "processing", entity: null, attempt: 2 },
  }], true);
  return events.map(([attempt, offset, text]) => {
    feed.apply([{ type: "progress", id: "aaaa", attempt, text, ...(offset === null ? {} : { offset }) }]);
    return feed.rows().find(({ kind }) => kind === "provisional").text;
  });
}"""


PROGRESS = {
    "whole texts": [(2, None, "One", "One"), (2, None, "One two", "One two"), (2, None, "Two", "Two")],
    "in order": [(2, 0, "One", "One"), (2, 3, " two", "One two"), (2, 7, "!", "One two!")],
    "one that does not fit": [(2, 0, "One", "One"), (2, 7, "!", "One"), (2, 3, " two", "One two")],
    "nothing known before": [(2, 3, " two", ""), (2, 0, "One two", "One two")],
    "from the start": [(2, 0, "One two", "One two"), (2, 3, " x", "One two"), (2, 0, "1", "1"), (2, 1, "2", "12")],
    "code points": [(2, 0, "\U0001f468e\u0301", "\U0001f468e\u0301"), (2, 3, "!", "\U0001f468e\u0301!")],
    "another attempt": [(2, 0, "One", "One"), (3, 3, "!", "One"), (3, 0, "New", "New"), (2, 3, "!", "New")],
    "an attempt that is over": [(1, 0, "Old", ""), (1, None, "Old", "")],
}
"""Events (attempt, offset, text), each with what is shown after it."""


@pytest.mark.parametrize("events", PROGRESS.values(), ids=PROGRESS.keys())
def test_progress_continues_at_its_offset_and_is_ignored_if_it_does_not_fit(
    events: list[tuple[int, int | None, str, str]], modules: Modules
) -> None:
    assert modules.run("feed.js", WRITING, [event[:3] for event in events]) == [event[3] for event in events]


def test_an_own_post_that_wants_no_answer_is_never_taken_for_one_that_does(modules: Modules) -> None:
    function = """({ Feed }) => {
      const entry = { key: "key", createdAt: 0, text: "Hi", username: "Ada", color: "001002003", entity: "", answer: false,
        sentAfter: 0, attempt: 1, state: "sending", reason: "" };
      const other = { id: "bbbb", timestamp: 1, text: "Hi", username: "Ada", color: "001002003", messageType: "human",
        replyTo: null, seq: 1, botParams: { status: "pending", entity: null, attempt: 0 } };
      const feed = new Feed();
      feed.load([], true);
      feed.setOutbox([entry]);
      feed.merge([other]);
      const isTaken = feed.isOwn("bbbb");
      feed.acknowledge(entry, { id: "aaaa", timestamp: 2 });
      return [isTaken, feed.isOwn("aaaa"), feed.get("aaaa").botParams.status];
    }"""

    assert modules.run("feed.js", function) == [False, True, "complete"]


def test_colours_of_names_are_readable_and_survive_the_browsers_notation(modules: Modules) -> None:
    for seed in range(1, 4):
        assert modules.run("color.js", CONTRAST, [seed * 104_729, PAPERS]) == []


def test_a_random_colour_is_nine_digits_that_the_server_takes(modules: Modules) -> None:
    colors = modules.run("color.js", "({ randomColor }) => Array.from({ length: 200 }, randomColor)")

    assert all(len(color) == 9 and all(int(color[at : at + 3]) <= 255 for at in (0, 3, 6)) for color in colors)
    assert len(set(colors)) > 100


@pytest.mark.parametrize(("text", "expected"), ADDRESSES.items())
def test_a_plain_web_address_becomes_a_link_and_the_text_stays(text: str, expected: list[str], modules: Modules) -> None:
    function = """({ nodesOf }, text) => {
      const nodes = nodesOf(text);
      return [
        nodes.map((node) => node.textContent).join(""),
        nodes.filter((node) => node.localName === "a").map(({ href }) => href),
        nodes.every((node) => node.nodeType === Node.TEXT_NODE || (node.localName === "a" && !node.children.length)),
      ];
    }"""

    assert modules.run("text.js", function, text) == [text, expected, True]


def test_pauses_between_polls_grow_to_30_seconds_until_news_come(modules: Modules) -> None:
    function = """({ PollSchedule }) => {
      const schedule = new PollSchedule();
      const quiet = Array.from({ length: 7 }, () => Math.round(schedule.next(false)));
      schedule.reset();
      return [quiet, schedule.next(true) > 30_000, schedule.next(false)];
    }"""

    assert modules.run("poll.js", function) == [[5000, 7500, 11250, 16875, 25313, 30000, 30000], True, 5000]


def test_pages_that_lost_their_server_together_come_back_apart(modules: Modules) -> None:
    function = """({ Backoff }) => {
      const waits = Array.from({ length: 50 }, () => {
        const backoff = new Backoff(1_000, 30_000);
        return Array.from({ length: 8 }, () => backoff.next());
      });
      return waits;
    }"""

    waits: list[list[int]] = modules.run("poll.js", function)
    for step, longest in enumerate((1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000)):
        assert all(longest * 0.75 - 1 <= wait[step] <= longest for wait in waits)
        assert len({wait[step] for wait in waits}) > 10


DAY_LINES = """({ timeline }) => {
  const midnight = (days) => new Date(2026, 2, 27 + days).getTime();
  // Around the nights, also those in which clocks may change, an hour apart and a millisecond before and after each.
  const times = [];
  for (let days = 0; days < 5; days += 1) {
    for (let hour = 0; hour < 23; hour += 1) times.push(midnight(days) + hour * 3_600_000);
    times.push(midnight(days) - 1, midnight(days) + 1);
  }
  times.sort((one, other) => one - other);
  const botParams = { status: "complete", entity: null, attempt: 0 };
  const rows = times.map((timestamp, key) => ({
    key: String(key), kind: "human",
    message: { id: String(key), timestamp, text: "A", username: "Ada", color: "210120040", messageType: "human", botParams },
  }));
  const entities = { nameOf: (name, nobody) => name ?? nobody, get: () => undefined };
  const feed = { get: () => undefined, answerTo: () => undefined, keyOf: ({ id }) => id };
  const models = timeline(rows, feed, entities, { talk: "" }, null);
  const lines = models.filter(({ kind }) => kind === "day").map(({ key }) => key);
  const named = [...new Set(times.map((time) => `day:${new Date(time).toDateString()}`))];
  const isFirst = ({ kind }, at) => kind !== "day" && models[at - 1]?.kind === "day";
  const first = models.filter(isFirst).map(({ timestamp }) => timestamp);
  return [lines, named, first.slice(1), [0, 1, 2, 3, 4].map(midnight)];
}"""


def test_a_line_is_before_the_first_message_of_each_day(modules: Modules) -> None:
    lines, named, first, midnights = modules.run("timeline.js", DAY_LINES)

    assert lines == named
    assert first == midnights


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Short", "Short"),
        ("Two\n\n lines", "Two lines"),
        ("1234567890", "1234567890"),
        ("12345678901", "1234567890…"),
        ("A" + " " * 500 + "B", "A…"),
        ("word " * 1000, "word word…"),
    ],
)
def test_an_excerpt_is_the_first_words_on_one_line(text: str, expected: str, modules: Modules) -> None:
    assert modules.run("text.js", "({ excerpt }, text) => excerpt(text, 10)", text) == expected

"""The view in the address: what is written is read again, and the original's links mean what they meant."""

import pytest
from page_browser import Json, Modules

pytest_plugins = ["page_fixtures"]

NOTHING: Json = {"talk": "", "entity": "", "people": [], "kind": "", "words": [], "without": [], "paused": False}
NOTHING_ASKED: Json = {"entity": "", "ais": "", "priority": None, "context": None, "model": ""}
ROUND_TRIPS = """({ read, write }, seed) => {
  let state = seed;
  const below = (limit) => {
    state = (state * 48271) % 2147483647;
    return state % limit;
  };
  const LETTERS = [...'aZ0éß語🎈+&=#%:/? "<-', "%41", "%zz", "\\u202e"];
  const some = (make, most) => Array.from({ length: below(most + 1) }, make);
  const text = () => `x${some(() => LETTERS[below(LETTERS.length)], 12).join("")}x`;
  const nine = () => Array.from({ length: 3 }, () => String(below(256)).padStart(3, "0")).join("");
  const hex = () => Array.from({ length: 16 }, () => below(16).toString(16)).join("");
  const name = () => ["zen", "sun-tsu", "a", "0-9"][below(4)];
  const maybe = (make, otherwise) => (below(2) ? make() : otherwise);
  const views = Array.from({ length: 300 }, () => ({
    view: {
      talk: maybe(hex, ""),
      entity: maybe(name, ""),
      people: some(() => ({ name: text(), color: nine() + maybe(() => "-Ab3dE5gH1j", "") }), 4),
      kind: ["", "human", "AI"][below(3)],
      words: [...new Set(some(text, 4))],
      without: [...new Set(some(text, 4))],
      paused: below(2) === 1,
    },
    asked: {
      entity: maybe(name, ""),
      ais: maybe(() => `${text().replaceAll(":", "")}:${["random", nine(), `${nine()}-Ab3dE5gH1j`][below(3)]}`, ""),
      priority: maybe(() => below(100), null),
      context: maybe(() => below(201), null),
      model: maybe(text, ""),
    },
  }));
  const differing = views.filter(({ view, asked }) => {
    const found = read(new URL(`http://wall.example/${write(view, asked)}`).hash);
    const isSame = JSON.stringify([found.view, found.asked]) === JSON.stringify([view, asked]);
    return !isSame || found.identity || found.unknown.length || write(found.view, found.asked) !== write(view, asked);
  });
  return differing.map(({ view, asked }) => write(view, asked));
}"""

ADA, ZEN = {"name": "Ada", "color": "210120040"}, {"name": "Zen", "color": "070140180"}
TAILED = {"name": "Human", "color": "169080199-Ab3dE5gH1j"}
LINKS: dict[str, Json] = {
    "": {},
    "#": {},
    "#u=Ada:210120040": {"people": [ADA]},
    "#u=Ada:210120040+Zen:070140180": {"people": [ADA, ZEN]},
    "#u=Human:169080199-Ab3dE5gH1j": {"people": [TAILED]},
    "#u=Ada": {"people": [{"name": "Ada", "color": "096165250"}]},
    "#u=Ada:999888777": {"people": [{"name": "Ada", "color": "096165250"}]},
    "#u=+:210120040": {},
    "#word=space": {"words": ["space"]},
    "#word=space+black%20hole": {"words": ["space", "black hole"]},
    "#-word=rude+loud&word=space": {"words": ["space"], "without": ["rude", "loud"]},
    "#word=C%2B%2B+a%26b": {"words": ["C++", "a&b"]},
    "#word=%E0%A4%A": {"words": ["%E0%A4%A"]},
    "#mt=human": {"kind": "human"},
    "#mt=AI": {"kind": "AI"},
    "#mt=ai": {"kind": "AI"},
    "#mt=ALL": {},
    "#filteractive=true": {},
    "#filteractive=false&u=Ada:210120040": {"people": [ADA], "paused": True},
    "#talk=0123456789abcdef": {"talk": "0123456789abcdef"},
    "#with=zen&mt=human": {"entity": "zen", "kind": "human"},
}
"""Links, each with the view that it shows."""
ASKED: dict[str, Json] = {
    "#entity=zen": {"entity": "zen"},
    "#ais=MyAI:255069000": {"ais": "MyAI:255069000"},
    "#ais=My%20AI:random": {"ais": "My AI:random"},
    "#ais=MyAI:255069000-Ab3dE5gH1j": {"ais": "MyAI:255069000-Ab3dE5gH1j"},
    "#ais=MyAI": {"ais": "MyAI:096165250"},
    "#priority=0": {"priority": 0},
    "#priority=99": {"priority": 99},
    "#nom=20": {"context": 20},
    "#nom=0": {"context": 0},
    "#nom=ALL": {"context": 200},
    "#nom=100000": {"context": 200},
    "#model=llama-3": {"model": "llama-3"},
}
"""Links, each with what its posts ask for."""


@pytest.mark.parametrize("seed", [1, 2_357, 104_729])
def test_every_view_that_is_written_is_read_again(seed: int, modules: Modules) -> None:
    assert modules.run("hash.js", ROUND_TRIPS, seed) == []


@pytest.mark.parametrize(("link", "view"), LINKS.items())
def test_a_link_shows_what_it_names(link: str, view: Json, modules: Modules) -> None:
    found = read(modules, link)

    assert found["view"] == NOTHING | view
    assert found["asked"] == NOTHING_ASKED
    assert found["unknown"] == []


@pytest.mark.parametrize(("link", "asked"), ASKED.items())
def test_a_link_asks_for_what_it_names(link: str, asked: Json, modules: Modules) -> None:
    found = read(modules, link)

    assert found["asked"] == NOTHING_ASKED | asked
    assert found["view"] == NOTHING
    assert found["unknown"] == []


def test_the_usual_link_of_the_original_is_understood_as_a_whole(modules: Modules) -> None:
    link = (
        "#u=Human:169080199+Zen:070140180&filteractive=true&mt=ALL&uis=Human:169080199&ais=Zen:070140180"
        "&priority=5&entity=zen&model=m&nom=20&word=a&-word=b"
    )
    found = read(modules, link)

    human = {"name": "Human", "color": "169080199"}
    assert found["view"] == NOTHING | {"people": [human, ZEN], "words": ["a"], "without": ["b"]}
    assert found["asked"] == {"entity": "zen", "ais": "Zen:070140180", "priority": 5, "context": 20, "model": "m"}
    assert found["identity"] == human
    assert found["unknown"] == []


def test_a_random_identity_gets_a_colour_that_the_server_takes(modules: Modules) -> None:
    identity = read(modules, "#uis=Ada:random")["identity"]

    assert identity["name"] == "Ada"
    assert len(identity["color"]) == 9
    assert all(int(identity["color"][at : at + 3]) <= 255 for at in (0, 3, 6))


@pytest.mark.parametrize(
    ("link", "names"),
    [
        ("#video=sample1&word=a", ["video"]),
        ("#uss=Ada:210120040", ["uss"]),
        ("#mt=loud", ["mt"]),
        ("#talk=xyz", ["talk"]),
        ("#entity=No_Such", ["entity"]),
        ("#priority=high&nom=some", ["priority", "nom"]),
        ("#__proto__=x", ["__proto__"]),
        ("#text", ["text"]),
    ],
)
def test_what_a_link_asks_for_in_vain_is_named(link: str, names: list[str], modules: Modules) -> None:
    found = read(modules, link)

    assert found["unknown"] == names
    assert found["asked"] == NOTHING_ASKED


def test_the_identity_is_never_written(modules: Modules) -> None:
    function = "({ read, write }) => { const { view, asked } = read('#uis=Ada:210120040&word=a'); return write(view, asked); }"

    assert modules.run("hash.js", function) == "#word=a"


SHOWS = """({ shows, WHOLE }, [condition, row]) => {
  const entities = { get: () => undefined, nameOf: (name) => (name ? "Zen" : ""), colorOf: () => "070140180" };
  const feed = { get: () => undefined, answerTo: () => undefined };
  const message = {
    id: "aaaa", timestamp: 1, username: "Zoë K.", color: "210120040", text: "Space is BLACK", messageType: "human",
    replyTo: null, seq: 1, botParams: { status: "complete", entity: null, attempt: 0 }, ...row.message,
  };
  return shows({ key: "", kind: "human", text: "", ...row, message }, { ...WHOLE, ...condition }, feed, entities);
}"""
ZOE = {"name": "zoë k.", "color": "210120040"}
SHOWN: list[tuple[Json, Json, bool]] = [
    ({}, {}, True),
    ({"people": [ZOE]}, {}, True),
    ({"people": [ADA, ZOE]}, {}, True),
    ({"people": [ADA]}, {}, False),
    ({"people": [ZOE | {"name": "ZoK"}]}, {}, True),
    ({"people": [ZOE | {"color": "210120041"}]}, {}, False),
    ({"people": [ZOE | {"color": "210120040-Ab3dE5gH1j"}]}, {}, True),
    ({"people": [ZOE | {"color": "210120040-Ab3dE5gH1j"}]}, {"message": {"colorTail": "Ab3dE5gH1j"}}, True),
    ({"people": [ZOE | {"color": "210120040-Ab3dE5gH1j"}]}, {"message": {"colorTail": "Xb3dE5gH1j"}}, False),
    ({"people": [ADA], "paused": True}, {}, True),
    ({"kind": "human"}, {}, True),
    ({"kind": "AI"}, {}, False),
    ({"kind": "AI"}, {"kind": "AI"}, True),
    ({"kind": "human", "paused": True}, {"kind": "AI"}, False),
    ({"kind": "AI"}, {"kind": "provisional"}, True),
    ({"words": ["black"]}, {}, True),
    ({"words": ["white", "SPACE"]}, {}, True),
    ({"words": ["white"]}, {}, False),
    ({"without": ["white"]}, {}, True),
    ({"without": ["black"]}, {}, False),
    ({"words": ["space"], "without": ["is b"]}, {}, False),
    ({"people": [ZOE], "words": ["white"]}, {}, False),
    ({"people": [ZEN]}, {"kind": "provisional", "message": {"botParams": {"entity": "zen"}}}, True),
    ({"words": ["half"]}, {"kind": "provisional", "text": "Half of it"}, True),
    ({"talk": "a" * 16}, {"message": {"conversation": "a" * 16}}, True),
    ({"talk": "a" * 16}, {"message": {"conversation": "b" * 16}}, False),
    ({"entity": "zen"}, {"message": {"botParams": {"entity": "zen"}}}, True),
    ({"entity": "zen"}, {"message": {"botParams": {"entity": None, "assignedEntity": "zen"}}}, True),
    ({"entity": "zen"}, {"message": {"botParams": {"entity": "rude"}}}, False),
]
"""A condition, what is special about a row, and whether it is shown."""


@pytest.mark.parametrize(("condition", "row", "shown"), SHOWN)
def test_a_view_shows_the_rows_that_fit_all_its_conditions(
    condition: Json, row: Json, *, shown: bool, modules: Modules
) -> None:
    assert modules.run("view.js", SHOWS, [condition, row]) == shown


@pytest.mark.parametrize(
    ("typed", "words", "without", "again"),
    [
        ("", [], [], ""),
        ("space", ["space"], [], "space"),
        (" space  -rude ", ["space"], ["rude"], "space -rude"),
        ('"black hole" -"so rude"', ["black hole"], ["so rude"], '"black hole" -"so rude"'),
        ('"half', ["half"], [], "half"),
        ("-", [], [], ""),
        ("a a -b -b", ["a"], ["b"], "a -b"),
        ('"-x"', ["-x"], [], '"-x"'),
        ("__proto__ <b>", ["__proto__", "<b>"], [], "__proto__ <b>"),
    ],
)
def test_the_search_box_means_words_and_words_to_leave_out(
    typed: str, words: list[str], without: list[str], again: str, modules: Modules
) -> None:
    function = "({ parsed, asText }, typed) => [parsed(typed), asText(parsed(typed))]"

    assert modules.run("search.js", function, typed) == [{"words": words, "without": without}, again]


def read(modules: Modules, link: str) -> Json:
    """What a link asks for."""
    found: Json = modules.run("hash.js", "({ read }, link) => read(link)", link)
    return found

"""Markdown in answers: a few safe elements, no work that grows faster than the text, and no flicker while it is written."""

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_browser import PROVISIONAL, Json, Modules, Visit, answer, claim, post, post_to, queue, row
from playwright.sync_api import expect

import saywhatwant.page
from servers import Server

pytest_plugins = ["page_fixtures"]

PAGE = Path(saywhatwant.page.__file__).parent
ROOT = PAGE.parents[2]

SHOW = """({ Markdown }, text) => {
  const element = document.createElement("div");
  new Markdown(element).show(text, false);
  return element.innerHTML;
}"""
RENDERED = {
    "**bold**, *both*, ~~gone~~": '<p dir="auto"><strong>bold</strong>, <em>both</em>, <s>gone</s></p>',
    "# One\n\n#### Four\n\n###### Six": '<h2 dir="auto">One</h2><h5 dir="auto">Four</h5><h6 dir="auto">Six</h6>',
    "one\ntwo  \nthree": '<p dir="auto">one\ntwo\nthree</p>',
    "- a\n- b\n  1. c": '<ul><li dir="auto">a</li><li dir="auto">b<ol><li dir="auto">c</li></ol></li></ul>',
    "7. a": '<ol start="7"><li dir="auto">a</li></ol>',
    "> a": '<blockquote><p dir="auto">a</p></blockquote>',
    "a `<b>`": '<p dir="auto">a <code>&lt;b&gt;</code></p>',
    "a\n\n---\n\nb": '<p dir="auto">a</p><hr><p dir="auto">b</p>',
    "a\n---": '<p dir="auto">a</p><hr>',
    "```python\n<b>\n```": ('<pre class="scrolling" tabindex="0" role="region" aria-label="Code"><code>&lt;b&gt;</code></pre>'),
    "|a|\n|-:|\n|*b*|": (
        '<div class="scrolling" tabindex="0" role="region" aria-label="Table"><table><thead><tr>'
        '<th dir="auto" class="right">a</th></tr></thead>'
        '<tbody><tr><td dir="auto" class="right"><em>b</em></td></tr></tbody></table></div>'
    ),
    "    indented": '<p dir="auto">indented</p>',
    "[a]: https://example.org/": (
        '<p dir="auto">[a]: <a href="https://example.org/" rel="noopener noreferrer nofollow ugc" target="_blank">'
        "https://example.org/</a></p>"
    ),
    "": "",
}
LINKS = {
    "[a](https://example.org/b?c)": [["a", "https://example.org/b?c"]],
    "[a *b*](<mailto:zen@example.org> 'title')": [["a b", "mailto:zen@example.org"]],
    "<https://example.org/>": [["https://example.org/", "https://example.org/"]],
    "https://example.org/a_b_c*d*": [["https://example.org/a_b_c", "https://example.org/a_b_c"]],
    "![a cat](https://example.org/cat.png)": [["a cat", "https://example.org/cat.png"]],
    "![](https://example.org/cat.png)": [["picture", "https://example.org/cat.png"]],
    "[![x](https://a.example/)](https://b.example/)": [["x", "https://b.example/"]],
    "[https://example.org](https://evil.example/)": [["https://example.org (https://evil.example/)", "https://evil.example/"]],
    "[example.org](https://evil.example/)": [["example.org (https://evil.example/)", "https://evil.example/"]],
    "[www.example.org/a](https://www.example.org/b)": [["www.example.org/a", "https://www.example.org/b"]],
    "[a](javascript:alert(1))": [],
    "[a](JaVaScRiPt&#58;alert(1))": [],
    "[a](\\javascript:alert(1))": [],
    "[a](java\tscript:alert(1))": [],
    "[a](data:text/html,x)": [],
    "[a](vbscript:x)": [],
    "[a](file:///etc/passwd)": [],
    "[a](blob:https://example.org/x)": [],
    "[a](//example.org)": [],
    "[a](/api/stats)": [],
    "[a](#top)": [],
    "[a](https://user:word@example.org/)": [],
    "[a](https:example.org@)": [],
    "<javascript:alert(1)>": [],
    "![a](data:image/svg+xml,x)": [],
}
HTML = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a <b onclick=alert(1)>b</b> c",
    "<!-- a -->\n\n<style>*{display:none}</style>",
    "<svg/onload=alert(1)>",
    "| <b>x</b> |\n|-|\n| <iframe src=https://evil.example> |",
    "> <form action=https://evil.example><button>a",
    "- <a href=javascript:alert(1)>x</a>",
    "# <h1 style=position:fixed>x",
    "```<script>\n</code></pre><script>alert(1)</script>\n```",
    "`</code><script>alert(1)</script>`",
    "[<img src=x onerror=alert(1)>](https://example.org/)",
    '[a](https://example.org/"onmouseover=alert(1))',
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62;",
)
ALLOWED = {
    *("p", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "s"),
    *("table", "thead", "tbody", "tr", "th", "td", "hr", "a", "div"),
}
ALLOWED_ATTRIBUTES = {"dir", "class", "tabindex", "role", "aria-label", "href", "rel", "target", "title", "start"}
"""What an element may have; a class is one of the page's own."""

HEAVY = {
    "brackets": "[",
    "closing brackets": "]",
    "nested links": "[a](",
    "pictures": "![",
    "nested pictures": "![a][",
    "quotations": "> ",
    "quotations in lists": "> - 1. ",
    "backticks": "`a``b```",
    "stars": "*",
    "stars and underscores": "*a_",
    "open stars": "**a *b ",
    "tildes": "~~a",
    "less than": "<",
    "tags": "<a",
    "comments": "<!--",
    "lists": "- ",
    "ampersands": "&",
    "backslashes": "\\",
    "definitions": "[a]: b\n",
    "headings": "# ",
    "pipes": "|",
    "links with angles": "[a](<b",
    "addresses": "https://a",
    "lines": "a\n",
}
STEPS = """({ Markdown, plain }, texts) => texts.map((text) => {
  const { charCodeAt } = String.prototype;
  let steps = 0;
  String.prototype.charCodeAt = function (at) { steps += 1; return charCodeAt.call(this, at); };
  const element = document.createElement("div");
  try {
    new Markdown(element).show(text, false);
  } finally {
    String.prototype.charCodeAt = charCodeAt;
  }
  const depth = (node) => 1 + Math.max(0, ...[...node.children].map(depth));
  return { steps, elements: element.querySelectorAll("*").length, depth: depth(element), text: element.textContent };
})"""

ANSWER = """Here is **how it *really* works**, in `three` steps:

1. Take the *first* one, and [read about it](https://example.org/a_b) twice.
2. Do `a * b * c` with __care__, ~~never~~ always:

   ```python
   print("**not bold**")
   ```

> A **quotation** with 5 * 3 = 15.

| name | value |
|------|------:|
| *a*  | `1`   |

---

The end: snake_case_words stay, and so does 2*3.
"""
GROW = """({ Markdown }, text) => {
  const element = document.createElement("div");
  const markdown = new Markdown(element);
  const seen = [];
  let kept = [];
  const replaced = [];
  for (let end = 1; end <= text.length; end += 1) {
    markdown.show(text.slice(0, end), true);
    const blocks = [...element.children];
    // All blocks but the last two: those may still change, and the last of them may become two.
    for (const [at, block] of kept.entries()) if (blocks[at] !== block) replaced.push(`${end}: ${block.textContent}`);
    kept = blocks.slice(0, -2);
    seen.push(element.textContent.replace(/\\s/g, ""));
  }
  markdown.show(text, false);
  return { seen, replaced, whole: element.textContent.replace(/\\s/g, "") };
}"""


@pytest.mark.parametrize(("text", "html"), RENDERED.items())
def test_an_answers_markdown_becomes_these_elements(text: str, html: str, modules: Modules) -> None:
    assert modules.run("markdown.js", SHOW, text) == html


@pytest.mark.parametrize(("text", "links"), LINKS.items())
def test_only_web_and_mail_addresses_become_links_and_none_lies_about_where_it_leads(
    text: str, links: list[list[str]], modules: Modules
) -> None:
    function = """({ Markdown }, text) => {
      const element = document.createElement("div");
      new Markdown(element).show(text, false);
      const links = [...element.querySelectorAll("a")];
      return [
        links.map(({ textContent, href }) => [textContent, href]),
        links.every(({ rel, target }) => rel.includes("noopener noreferrer nofollow") && target === "_blank"),
        element.textContent,
      ];
    }"""
    found, safe, shown = modules.run("markdown.js", function, text)

    assert found == links
    assert safe
    if not links and not text.startswith("!"):
        assert shown.replace("\\", "") == text.replace("\\", ""), "a refused link stays what was written"


@pytest.mark.parametrize("text", HTML)
def test_html_in_an_answer_is_text(text: str, modules: Modules) -> None:
    function = """({ Markdown }, text) => {
      const element = document.createElement("div");
      new Markdown(element).show(text, false);
      const all = [...element.querySelectorAll("*")];
      return [
        all.map(({ localName }) => localName),
        all.flatMap(({ attributes }) => [...attributes].map(({ name }) => name)),
        element.textContent,
      ];
    }"""
    elements, attributes, shown = modules.run("markdown.js", function, text)

    assert set(elements) <= ALLOWED
    assert set(attributes) <= ALLOWED_ATTRIBUTES
    for tag in re.findall(r"</?[a-z]\w*", text):
        assert tag in shown


@pytest.mark.parametrize("unit", HEAVY.values(), ids=HEAVY.keys())
def test_hostile_markdown_costs_steps_in_proportion_to_its_length(unit: str, modules: Modules) -> None:
    """The parser's steps are counted, not timed: the characters that it looks at."""
    sizes = (4_000, 8_000, 16_000)
    texts = [unit * (size // len(unit)) for size in sizes]
    results: list[Json] = modules.run("markdown.js", STEPS, texts)

    for text, result in zip(texts, results, strict=True):
        assert result["steps"] < 120 * len(text), result["steps"]
        assert result["depth"] < 30
        assert result["elements"] <= 2 * len(text)
    assert results[2]["steps"] < 5 * results[0]["steps"] + 1_000


def test_what_nests_too_deep_or_makes_too_many_cells_is_still_shown(modules: Modules) -> None:
    quotations = "".join(f"{'> ' * depth}word{depth}\n" for depth in range(60))
    lists = "".join(f"{'  ' * depth}- item{depth}\n" for depth in range(60))
    stars = "".join(f"*a{number} **b{number} " for number in range(200)) + "".join("c** c* " for _ in range(200))
    table = "|".join("a" * 900) + "\n" + "|".join("-" * 900) + "\n" + "|x\n" * 700

    found: list[Json] = modules.run("markdown.js", STEPS, [quotations, lists, stars, table])

    assert all(result["depth"] < 40 and result["elements"] < 4_000 for result in found)
    for depth in range(60):
        assert f"word{depth}" in found[0]["text"]
        assert f"item{depth}" in found[1]["text"]
    assert "a199" in found[2]["text"]
    assert found[3]["text"] == table


def test_a_growing_answer_never_shows_a_mark_that_vanishes_nor_replaces_a_finished_block(modules: Modules) -> None:
    grown: Json = modules.run("markdown.js", GROW, ANSWER)

    assert grown["replaced"] == [], grown["replaced"][:3]
    wrong = [seen for seen in grown["seen"] if not grown["whole"].startswith(seen)]
    assert wrong == [], wrong[:20]
    # It does not lag behind either: what is held back is a mark, or the first line of a table.
    assert grown["whole"] == grown["seen"][-1]


def test_the_wall_shows_an_answers_markdown_as_it_grows_and_keeps_its_elements(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    asked = post_to(server, "zen", "In **Markdown**, please")
    attempt = claim(server, asked)
    queue(server, "progress", asked, attempt=attempt, text="First *this*.\n\nThen **that")
    growing = page.locator(PROVISIONAL).locator(".text")
    expect(growing.locator("strong")).to_have_text("that")
    growing.locator("p").first.evaluate("first => { window.first = first; }")

    whole = "First *this*.\n\nThen **that**.\n\n- one\n- two"
    reply = queue(server, "complete", asked, attempt=attempt, reply={"text": whole, "username": "Zen"})["id"]

    text = row(page, reply).locator(".text")
    expect(text.locator("li")).to_have_text(["one", "two"])
    assert text.locator("p").first.evaluate("first => first === window.first"), "the finished answer keeps its elements"


def test_what_people_write_stays_plain_text(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    written = post(server, "# I **like** `code`\n- and https://example.org/")

    text = row(page, written).locator(".text")
    expect(text).to_have_text("# I **like** `code` - and https://example.org/")
    assert text.evaluate("part => [...part.children].map(({ localName }) => localName)") == ["a"]


def test_a_screen_reader_gets_an_answer_without_its_marks(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    answer(server, post_to(server, "zen", "Hm?"), "**Yes**, see [this](https://example.org/)")

    expect(page.locator("#announcer")).to_contain_text("Yes, see this")
    expect(page.locator("#announcer")).not_to_contain_text("*")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_a_long_answer_fits_and_axe_finds_no_fault(width: int, scheme: str, server: Server, visit: Visit) -> None:
    page = visit(server, viewport={"width": width, "height": 740}, color_scheme=scheme, reduced_motion="reduce").open()
    wide = "| " + " | ".join(f"a long heading {number}" for number in range(9)) + " |\n" + "|---" * 9 + "|\n" + "| cell " * 9
    reply = answer(server, post_to(server, "zen"), f"# Title\n\n{ANSWER}\n\n{wide}\n\n```\n{'x' * 300}\n```\n\n{'> ' * 12}deep")
    expect(row(page, reply).locator("table")).to_have_count(2)

    outer = "document.querySelector('#wall').scrollWidth - document.querySelector('#wall').clientWidth"
    assert page.evaluate(outer) <= 0
    violations = Axe().run(page).response["violations"]
    assert [violation["id"] for violation in violations if violation["impact"] in {"serious", "critical"}] == []
    scroller = row(page, reply).locator(".scrolling").last
    scroller.focus()
    page.keyboard.press("ArrowRight")
    expect(scroller).to_be_focused()


def test_the_vendored_parser_is_the_pinned_version_with_its_licences() -> None:
    """`tests/lint_page` compares it with the file of the npm package, byte for byte."""
    version = json.loads((ROOT / "package.json").read_text())["devDependencies"]["markdown-it"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]["node_modules/markdown-it"]["version"]
    note = (PAGE / "vendor" / "README.md").read_text()

    assert version == locked
    assert (PAGE / "vendor" / "markdown-it.js").read_text().startswith(f"/*! markdown-it {version} ")
    assert f"| markdown-it.js | markdown-it | {version} | MIT |" in note
    for holder in ("Vitaly Puzrin", "Felix Böhm", "Mathias Bynens"):
        assert holder in note


def test_the_page_makes_no_element_from_text() -> None:
    """The content policy allows no script from text; the page's own modules do not even parse HTML."""
    for path in PAGE.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(", path.read_text()), (
            path
        )


def test_the_browser_lets_nothing_make_markup_of_text(server: Server, visit: Visit) -> None:
    """Trusted Types: what a module might do by mistake fails, also in a library."""
    visitor = visit(server)
    visitor.expect_errors("This document requires 'TrustedHTML'", "violation")
    page = visitor.open()

    tried = "() => { try { document.body.innerHTML = '<b>x</b>'; return 'made'; } catch (error) { return error.name; } }"
    assert page.evaluate(tried) == "TypeError"

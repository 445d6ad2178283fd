"""A page without a socket, whose clock moves only when a test moves it."""

from page_browser import SocketProxy, Visitor, expect_state
from playwright.sync_api import Page

from servers import until

STEP_MS = 1_000
ABOUT_MS = STEP_MS + 100
"""How far the gap between two polls may be from what it should be: the clock moves in steps."""
NOTE_POLLS = """() => {
  const realFetch = window.fetch;
  window.realFrames = [requestAnimationFrame.bind(window), cancelAnimationFrame.bind(window)];
  window.polls = [];
  window.inFlight = 0;
  window.fetch = async (url, options = {}) => {
    if (String(url).includes("changedAfter")) window.polls.push(Date.now());
    window.inFlight += 1;
    try {
      const response = await realFetch(url, options);
      await response.clone().text();
      return response;
    } finally {
      window.inFlight -= 1;
    }
  };
}"""


class Poller:
    """A tab with the wall whose sockets are refused at first."""

    def __init__(self, visitor: Visitor) -> None:
        self.page: Page = visitor.tab()
        self.sockets = SocketProxy(self.page)
        self.sockets.refuses = True
        self.page.add_init_script(f"({NOTE_POLLS})()")
        self.page.clock.install()
        self.page.goto("/")
        # Drawing goes by the real clock.
        self.page.evaluate("[window.requestAnimationFrame, window.cancelAnimationFrame] = window.realFrames")
        expect_state(self.page, "polling")
        self.page.clock.pause_at(self.page.evaluate("Date.now()") / 1_000 + 1)
        self._settle()

    @property
    def polls(self) -> list[int]:
        """When it has polled so far, in milliseconds of its own clock."""
        times: list[int] = self.page.evaluate("window.polls")
        return times

    def pass_time(self, ms: int) -> None:
        """Move the clock in steps; the server answers within each."""
        for _ in range(0, ms, STEP_MS):
            self.page.clock.run_for(STEP_MS)
            self._settle()

    def until_poll(self, number: int) -> None:
        """Move the clock until it has polled this often."""
        for _ in range(60_000 // STEP_MS):
            if len(self.polls) >= number:
                return
            self.pass_time(STEP_MS)
        raise AssertionError(f"no poll {number}, but {self.polls}")

    def until_state(self, state: str) -> None:
        """Move the clock until the page is connected like this."""
        for _ in range(120_000 // STEP_MS):
            if self.page.locator("#connection").get_attribute("data-state") == state:
                return
            self.pass_time(STEP_MS)
        raise AssertionError(f"it did not get {state}")

    def go_live(self) -> None:
        """Let it have a socket, and keep that for a while."""
        self.sockets.refuses = False
        self.until_state("live")
        self.pass_time(15_000)

    def gap(self) -> int:
        """Move the clock to the next poll; the milliseconds since the one before."""
        before = self.polls
        self.until_poll(len(before) + 1)
        after = self.polls
        assert len(after) == len(before) + 1
        return after[-1] - before[-1]

    def _settle(self) -> None:
        until(lambda: self.page.evaluate("window.inFlight === 0"), "the answers")

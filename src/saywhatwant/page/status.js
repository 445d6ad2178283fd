/** How the page is connected, in words, with a countdown that is true. */

const SECOND = 1_000;

export class Status {
  #element;
  #words;
  #retry;
  #announcer;
  #ticking = 0;
  #name = "connecting";

  constructor(element, announcer, tryNow) {
    this.#element = element;
    this.#words = element.querySelector("#state");
    this.#retry = element.querySelector("#retry");
    this.#announcer = announcer;
    this.#retry.addEventListener("click", tryNow);
  }

  show({ name, everyMs, retryAt }) {
    clearInterval(this.#ticking);
    this.#announce(name);
    this.#element.dataset.state = name;
    this.#retry.hidden = name !== "offline";
    if (name === "offline") this.#countDown(retryAt);
    else this.#words.textContent = { live: "Live", connecting: "Connecting", polling: `Polling every ${seconds(everyMs)} s` }[name];
  }

  #countDown(retryAt) {
    const tick = () => {
      this.#words.textContent = `Offline · again in ${Math.max(0, seconds(retryAt - Date.now()))} s`;
    };
    tick();
    this.#ticking = setInterval(tick, SECOND);
  }

  #announce(name) {
    if (name === "offline" && this.#name !== "offline") this.#announcer.say("The wall can not be reached. Trying again.");
    else if (this.#name === "offline" && name !== "connecting" && name !== "offline") this.#announcer.say("The wall is back.");
    this.#name = name;
  }
}

function seconds(ms) {
  return Math.ceil(ms / SECOND);
}

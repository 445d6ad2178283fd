/** Makes elements. Text is always text, never markup. */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{ class?: string, title?: string, role?: string, scope?: string, type?: string, data?: Record<string, string> }} attributes
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, { data = {}, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  Object.assign(made.dataset, data);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * @param {string} words
 * @param {() => void} press
 */
export function button(words, press) {
  const made = element("button", { type: "button" }, words);
  made.addEventListener("click", press);
  return made;
}

/** How long a button asks; it also stops when it loses the focus. */
const SURE_MS = 20_000;

/**
 * A button for what cannot be undone: the first press asks, the second one does it.
 * @param {string} words
 * @param {string} question
 * @param {() => void} press
 */
export function carefulButton(words, question, press) {
  let timer = 0;
  const made = button(words, () => {
    clearTimeout(timer);
    if (made.dataset.asks) {
      forget();
      press();
      return;
    }
    made.dataset.asks = "yes";
    made.textContent = question;
    timer = setTimeout(forget, SURE_MS);
  });
  const forget = () => {
    delete made.dataset.asks;
    made.textContent = words;
  };
  made.addEventListener("blur", forget);
  return made;
}

/**
 * Shows these elements in `parent`, and keeps those that are there and have not changed: focus and selection stay. One with a
 * button that asks is kept as it is, so that nobody presses on what has just taken its place. The focus stays at the same control
 * of an element that has changed; that of one that is gone goes to what has them all.
 * @param {Element} parent
 * @param {{ key: string, version: string, make: () => HTMLElement }[]} items
 */
export function keep(parent, items) {
  const focused = focusIn(parent);
  /** @type {Map<string | undefined, HTMLElement>} */
  const known = new Map();
  for (const child of parent.children) {
    if (child instanceof HTMLElement) known.set(child.dataset.key, child);
  }
  const shown = items.map(({ key, version, make }) => {
    const before = known.get(key);
    if (before && (before.dataset.version === version || before.querySelector("[data-asks]"))) return before;
    const made = make();
    Object.assign(made.dataset, { key, version });
    return made;
  });
  for (const child of [...parent.children]) {
    if (child instanceof HTMLElement && !shown.includes(child)) child.remove();
  }
  shown.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
  if (focused && !parent.contains(document.activeElement)) {
    const child = shown.find(({ dataset }) => dataset.key === focused.key);
    const target = (child && controlsOf(child)[focused.at]) ?? parent.closest("[tabindex]");
    if (target instanceof HTMLElement) target.focus();
  }
}

/** Which control of which child has the focus. @param {Element} parent */
function focusIn(parent) {
  const { activeElement } = document;
  const child = [...parent.children].find((child) => child.contains(activeElement));
  if (!(child instanceof HTMLElement) || !activeElement) return null;
  return { key: child.dataset.key, at: controlsOf(child).indexOf(activeElement) };
}

/** @param {Element} element */
function controlsOf(element) {
  return [...element.querySelectorAll("a, button, input, select")];
}

/** The chips that show one conversation alone. */

export class Filter {
  /** The entity whose conversation is shown; empty is everything. */
  entity = "";
  #element;

  constructor(element, changed) {
    this.#element = element;
    element.addEventListener("change", ({ target }) => {
      this.entity = target.value;
      changed();
    });
  }

  /** Shows everything again. */
  clear() {
    this.entity = "";
    this.#element.querySelector("[value='']").checked = true;
  }

  offer(entities) {
    for (const { name, displayName } of entities) this.#element.append(chip(name, displayName));
  }
}

function chip(value, words) {
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "filter";
  radio.value = value;
  const caption = document.createElement("span");
  caption.textContent = words;
  const label = document.createElement("label");
  label.className = "chip";
  label.append(radio, caption);
  return label;
}

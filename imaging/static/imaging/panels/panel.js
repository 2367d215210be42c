// One section of the settings, which sets some of the options.

export class Panel {
  /** `names` are the options that the section `name` sets. */
  constructor(form, name, names) {
    Object.assign(this, { form, names, fields: form.elements, root: form.querySelector(`[data-panel="${name}"]`) });
  }

  /** React to a control that was changed, before the options are read. */
  follow(field) {}

  /** The problems of its controls that the options cannot have: pairs of a control and a sentence. */
  problems() {
    return [];
  }

  /** Show what the section is set to, and offer to reset it. */
  summarise(options, defaults, words) {
    const isChanged = this.names.some((name) => JSON.stringify(options[name]) !== JSON.stringify(defaults[name]));
    this.root.querySelector("[data-value]").textContent = words;
    this.root.querySelector("[data-reset]").hidden = !isChanged;
    this.root.toggleAttribute("data-changed", isChanged);
  }
}
